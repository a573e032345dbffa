// The daemon under its own unit: active once it answers, killed by its watchdog when it hangs,
// reloaded and stopped by systemctl, and with all the rights that both planes need.

import assert from "node:assert/strict";
import { labScript } from "../script.ts";

const UNIT = "/etc/systemd/system/myco.service";
const MIB = 1024 * 1024;
const CONFIGURATION = `engine: { kind: none }
dns: { listen: "127.0.0.1:53" }
flow:
  enabled: true
  egressIface: eth1
  reflectors: ["192.0.2.1"]
`;

export default labScript({
  title: "the daemon's own unit: start, watchdog, reload, rights, memory",
  machines: { box: { vlans: [1], memoryMiB: 768 } },
  myco: true,
  reuse: true,
  limitSeconds: 420,
  async test({ machines: { box }, subtest, note }) {
    const pid = async (): Promise<string> => box.unitProperty("myco.service", "MainPID");
    const line = (name: string): Promise<string> => box.unitProperty("myco.service", name);

    await subtest("it is installed as the document says", async () => {
      await box.execute("systemctl stop myco; rm -rf /var/lib/myco /root/.config/myco");
      await box.copyFromHost("modules/systemd/myco.service", UNIT);
      await box.copyFromHost("modules/systemd/myco.sysusers", "/etc/sysusers.d/myco.conf");
      await box.copyFromHost("modules/systemd/back-off.conf", `${UNIT}.d/back-off.conf`);
      const { status } = await box.run("mkdir -p /etc/myco; cat >/etc/myco/config.yaml", {
        input: Buffer.from(CONFIGURATION),
      });
      assert.equal(status, 0);
      await box.succeed("systemd-sysusers && systemctl daemon-reload && myco cluster init");
      assert.equal(await box.succeed(`systemd-analyze verify --man=no ${UNIT} 2>&1`), "");
    });

    await subtest("systemctl start returns when it answers", async () => {
      await box.succeed("systemctl start myco && myco status >/dev/null");
      assert.equal(await line("ActiveState"), "active");
      assert.match(await box.succeed("stat -c '%a %U:%G' /run/myco/myco.sock"), /^660 root:myco/);
    });

    await subtest("it may do what its planes need", async () => {
      await box.waitUntilSucceeds("tc qdisc show dev eth1 | grep -q cake", 60);
      await box.succeed("nft list tables | grep -q myco");
      await box.waitUntilSucceeds("systemctl show myco -p StatusText | grep -q .", 30);
      note(await box.succeed("systemctl status myco --no-pager --lines=0 | cat"));
      const complaint =
        "journalctl -u myco -b --no-pager | grep -iE 'not permitted|EPERM|EACCES|denied'";
      assert.equal((await box.execute(complaint))[1], "");
      await box.succeed("touch /etc/systemd/system/.probe && rm /etc/systemd/system/.probe");
    });

    await subtest("a reload is over when the configuration was read", async () => {
      const before = await pid();
      await box.succeed("systemctl reload myco");
      await box.waitUntilSucceeds("test $(systemctl show -P ActiveState myco) = active", 30);
      await box.succeed("journalctl -u myco -b --no-pager | grep -q 'read again'");
      assert.equal(await pid(), before);
    });

    await subtest("one that hangs is killed by its watchdog and comes back", async () => {
      const before = await pid();
      await box.succeed(`kill -STOP ${before}`);
      await box.waitUntilSucceeds(
        `p=$(systemctl show -P MainPID myco); test $p != 0 && test $p != ${before} && myco status`,
        90,
      );
      await box.succeed("journalctl -u myco -b --no-pager | grep -qi watchdog");
    });

    await subtest("it outlives its watchdog's time, inside its memory", async () => {
      const before = await pid();
      await box.succeed("sleep 35");
      assert.equal(await pid(), before);
      const peak = Number(await line("MemoryPeak"));
      note(`memory peak ${(peak / MIB).toFixed(1)} MiB, both planes on`);
      assert(peak <= 64 * MIB);
    });

    await subtest("a stop puts the line back, and is clean", async () => {
      await box.succeed("systemctl stop myco");
      assert.equal(await line("Result"), "success");
      await box.fail("tc qdisc show dev eth1 | grep -q cake");
    });

    await subtest("a mistake in the configuration is told, and not tried again", async () => {
      await box.succeed("echo 'nonsense: true' >>/etc/myco/config.yaml");
      await box.fail("systemctl start myco");
      assert.equal(await line("ExecMainStatus"), "2");
      assert.equal(await line("ActiveState"), "failed");
      await box.succeed("systemctl reset-failed myco");
    });
  },
});
