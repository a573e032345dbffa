// The lab tested by itself: what every other lab script relies on.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { labScript } from "../script.ts";

const COPY_BYTES = 3_000_000;

export default labScript({
  title: "the lab itself: commands, copies, LANs, crashes",
  machines: { alice: { vlans: [1] }, bob: { vlans: [1, 2] } },
  async test({ machines: { alice, bob }, subtest }) {
    await subtest("a command gives its status and its output", async () => {
      assert.deepEqual(await alice.execute("echo out; echo err >&2; exit 3"), [3, "out\n"]);
      assert.equal(await alice.succeed(["echo one", "echo two"]), "one\ntwo\n");
      await alice.fail("false | true");
      await alice.fail('echo "$unset"');
      await assert.rejects(
        alice.succeed("echo seen; echo why >&2; false"),
        /exit code 1\n.*\n +seen\n.*\n +why/,
      );
      await assert.rejects(alice.fail("true"), /exit code 0/);
    });

    await subtest("a command that takes too long is stopped with all its children", async () => {
      const [status] = await alice.execute("sleep 1234 | sleep 1234", { timeoutSeconds: 2 });
      assert.equal(status, 124);
      await alice.fail("pgrep -x sleep");
    });

    await subtest("commands run side by side, and leave children behind", async () => {
      const long = alice.succeed("while [ ! -e /tmp/go ]; do sleep 0.1; done; echo went");
      await alice.succeed("touch /tmp/go");
      assert.equal(await long, "went\n");
      await alice.succeed("sleep 1234 &");
      await alice.succeed("pkill -x sleep");
    });

    await subtest("any bytes are copied in and out", async () => {
      const folder = mkdtempSync(join(tmpdir(), "lab-copy-"));
      const bytes = randomBytes(COPY_BYTES);
      writeFileSync(join(folder, "it's any.bytes"), bytes);
      await alice.copyFromHost(join(folder, "it's any.bytes"), "/srv/a b/copy");
      await alice.copyToHost("/srv/a b/copy", join(folder, "back"));
      assert.ok(readFileSync(join(folder, "back", "copy")).equals(bytes));
      rmSync(folder, { recursive: true });
      const { output } = await alice.run("cat", { input: bytes });
      assert.ok(output.equals(bytes));
    });

    await subtest("guests know each other by name, and are apart when blocked", async () => {
      await alice.succeed("ping -c1 -W5 bob && ping -6 -c1 -W5 2001:db8:1::2");
      await bob.succeed("ip -br address show eth2 | grep 192.168.2.2/24");
      await alice.block();
      await bob.fail("ping -c1 -W1 alice");
      await alice.unblock();
      await bob.waitUntilSucceeds("ping -c1 -W1 alice", 30);
    });

    await subtest("units and ports are waited for, and a failed unit is told at once", async () => {
      await bob.waitForUnit("multi-user.target", 120);
      await bob.succeed("systemd-run --unit=web nc -lk 8080");
      await bob.waitForUnit("web.service", 30);
      await alice.waitForOpenPort(8080, "bob", 30);
      await bob.succeed("systemctl stop web");
      await alice.waitForClosedPort(8080, "bob", 30);
      await bob.succeed("systemd-run --unit=broken false");
      await assert.rejects(bob.waitForUnit("broken.service"), /unit broken.service has failed/);
      await assert.rejects(bob.waitForUnit("no-such.service"), /inactive/);
    });

    await subtest("a disk outlasts a crash, memory does not", async () => {
      await bob.succeed("echo kept >/root/kept && sync && echo gone >/run/gone");
      await bob.crash();
      assert.equal(bob.isUp, false);
      await bob.connect();
      assert.equal(await bob.succeed("cat /root/kept; test ! -e /run/gone"), "kept\n");
    });

    await subtest("a guest shuts down in order and comes back", async () => {
      await bob.shutdown(120);
      assert.equal(bob.isUp, false);
      await bob.connect();
      await bob.succeed("true");
    });
  },
});
