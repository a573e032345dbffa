// Services of every kind on a real systemd: checked by a command, at their times, started by a
// connection, with a secret, on a port of the privileged, ended, and where /etc is read-only.

import assert from "node:assert/strict";
import type { ServiceAnswer } from "../../../src/api/contract.ts";
import { ClusterNode, PORT, serverProgram } from "../engine-guest.ts";
import { labScript } from "../script.ts";

const CURL = "curl --silent --fail --max-time 100 --unix-socket /run/myco/myco.sock";
const HOST = "http://localhost";
const API = `${CURL} ${HOST}`;
const PROGRAM = "/usr/local/lib/kinds/server.py";
const LAZY_PROGRAM = "/usr/local/lib/kinds/lazy.py";
const SECRET = "opensesame-6b1f";
const LAZY_PORT = 8090;
const WEB_PORT = 80;
const DROP_IN = "/etc/systemd/system/myco.service.d/read-only.conf";

/** Takes what systemd listens on (sd_listen_fds(3)). */
const LAZY = `#!/usr/bin/python3
import os, socket
s = socket.socket(fileno=3)
while True:
    c, _ = s.accept(); c.recv(4096)
    c.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nfds %s" % os.environ["LISTEN_FDS"].encode()); c.close()
`;

/** Ends unless its secret is what it should be; its own text, which all may read, has only a part of it. */
const TELL_SECRET = `grep -q ^${SECRET.slice(0, 4)} "$CREDENTIALS_DIRECTORY/password" && echo "read by $(id -u)" && exec sleep 100000`;

const server = { exec: "/usr/bin/python3", args: [PROGRAM] };

const KINDS = {
  services: [
    {
      name: "checked",
      ...server,
      ports: [PORT],
      // What the server keeps lies in its own folder: the check must be in its place.
      health: { exec: ["/usr/bin/grep", "-q", "plain", "kept"], interval: "30s", timeout: "5s" },
    },
    { name: "job", exec: "/bin/sh", args: ["-c", "echo it ran"], schedule: "*:*:0/10" },
    {
      name: "lazy",
      exec: "/usr/bin/python3",
      args: [LAZY_PROGRAM],
      ports: [LAZY_PORT],
      socketActivated: true,
    },
    { name: "once", exec: "/bin/echo", args: ["done"], restart: "on-failure" },
    { name: "safe", exec: "/bin/sh", args: ["-c", TELL_SECRET], secrets: ["password"] },
    { name: "web", ...server, ports: [WEB_PORT], health: { http: "/health", interval: "5s" } },
  ],
};

export default labScript({
  title: "services of every kind: check, timer, socket, secret, low port, read-only /etc",
  machines: { delta: { vlans: [1] } },
  myco: true,
  reuse: true,
  async test({ machines: { delta: box }, subtest, note }) {
    const node = new ClusterNode(box);
    const address = box.links[0]!.address4;
    const isUp = ({ here }: ServiceAnswer): boolean => here?.state === "healthy";
    const journal = (name: string): Promise<string> =>
      box.succeed(`journalctl -b --no-pager -o cat -u myco-${name}.service`);

    await subtest(
      "a service of each kind comes up, and one that lacks its secret says so",
      async () => {
        await node.setUp();
        // All at once: each takes the emulated processor a second.
        await box.succeed(
          "sed -i 's/kind: systemd/&, maxConcurrentStarts: 6/' /etc/myco/config.yaml",
        );
        await node.write(PROGRAM, serverProgram("plain"));
        await node.write(LAZY_PROGRAM, LAZY);
        await node.found();
        await node.post(KINDS);
        for (const name of ["checked", "job", "lazy", "once", "web"]) {
          await node.waitForService(name, "is well", isUp);
        }
        const { here } = await node.service("safe");
        assert.match(here?.detail ?? "", /create \/etc\/myco\/secrets\/password/);
        const reloads =
          "journalctl -b --no-pager -o cat _PID=1 | grep -c '^Reload requested.*myco'";
        const [, count] = await box.execute(reloads);
        note(`${KINDS.services.length} services, systemd was reloaded ${count.trim()} times`);
      },
    );

    await subtest("a secret reaches its service and nobody else", async () => {
      const keep = "mkdir -p /etc/myco/secrets; umask 077; cat >/etc/myco/secrets/password";
      assert.equal((await box.run(keep, { input: Buffer.from(SECRET) })).status, 0);
      await node.waitForService("safe", "has its secret", isUp);
      assert.match(await journal("safe"), /^read by [1-9]\d{3,}$/m);
      const pid = await box.unitProperty("myco-safe.service", "MainPID");
      // All that gossip carries is in the log.
      for (const place of [
        "systemctl cat myco-safe.service",
        `tr '\\0' '\\n' </proc/${pid}/environ`,
        "cat /var/lib/myco/wal",
        "cat -- /var/lib/myco/work/units/safe.json /var/log/myco/audit.log",
        `${API}/services/safe`,
      ]) {
        const text = await box.succeed(place);
        assert.match(text, /safe/, place);
        assert.ok(!text.includes(SECRET), place);
      }
    });

    await subtest("a job runs at its times, and says how it ended", async () => {
      await box.waitUntilSucceeds(
        "journalctl -b -o cat -u myco-job.service | grep -qx 'it ran'",
        60,
      );
      await node.waitForService("job", "has run", ({ here }) =>
        /succeeded/.test(here?.detail ?? ""),
      );
    });

    await subtest("a connection starts what systemd listens for", async () => {
      await box.fail("systemctl is-active --quiet myco-lazy.service");
      assert.equal(await box.succeed(`curl -sf http://${address}:${LAZY_PORT}/`), "fds 1");
      await box.succeed("systemctl is-active --quiet myco-lazy.service");
    });

    await subtest("a service on port 80 is nobody's root", async () => {
      const { uid } = await node.ask("web", WEB_PORT);
      assert.ok(uid > 1_000, `uid ${uid}`);
      const capabilities = await box.unitProperty("myco-web.service", "CapabilityBoundingSet");
      assert.equal(capabilities, "cap_net_bind_service");
    });

    await subtest("its log is followed as it is written", async () => {
      const follow = `${CURL} --no-buffer "${HOST}/logs?service=job&lines=1&follow=true"`;
      // After the newest line there is, one of a run to come.
      const said = await box.succeed(
        `exec 3< <(exec ${follow}); read -r newest <&3; grep -m 1 'it ran' <&3; kill $!`,
        { timeoutSeconds: 120 },
      );
      assert.match(said, /it ran/);
    });

    await subtest("a program that may end and has is left alone", async () => {
      await node.waitForService("once", "is well", isUp);
      assert.equal((await journal("once")).match(/^done$/gm)?.length, 1);
    });

    await subtest("where /etc cannot be written to, units lie in /run", async () => {
      for (const { name } of KINDS.services) await node.withdraw(name);
      await box.waitUntilSucceeds("! ls /etc/systemd/system/myco-* 2>/dev/null", 60);
      const readOnly = "[Service]\nReadWritePaths=\nReadWritePaths=/run/systemd/system\n";
      await node.write(DROP_IN, readOnly);
      await box.succeed("systemctl daemon-reload && systemctl restart myco");
      await node.post({ name: "plain", exec: "/bin/sleep", args: ["100000"] });
      await node.waitForService("plain", "is well", isUp);
      assert.equal(
        await box.unitProperty("myco-plain.service", "FragmentPath"),
        "/run/systemd/system/myco-plain.service",
      );
      await node.withdraw("plain");
      await box.waitUntilSucceeds("! ls /run/systemd/system/myco-* 2>/dev/null", 60);
      await box.succeed("rm -r /etc/systemd/system/myco.service.d && systemctl stop myco");
    });
  },
});
