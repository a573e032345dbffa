// The OpenWrt package as a router would have it: its data unpacked onto a guest by busybox, the init
// script run by busybox' shell under a stand-in procd, and the command that it asks for started with
// the capabilities that it asks for.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { execa } from "execa";
import type { FlowStatus } from "../../../src/flow/status.ts";
import { VERSION } from "../../../src/kernel/version.ts";
import { FlowRouter, IFB } from "../flow-guest.ts";
import type { Machine } from "../machine.ts";
import { labScript } from "../script.ts";
import { inNamespace, REFLECTORS4, ROUTER } from "../topology.ts";

const LINE = { downloadKbit: 20_000, uploadKbit: 5_000 };
const BUSYBOX = "/usr/bin/busybox";
const STATE = "/run/openwrt-state";
const SOCKET = "/var/run/myco/myco.sock";
/** Where OpenWrt's `uci` and its tcpdump, which has no user to change to, stand in front. */
const PROGRAMS = "/opt/openwrt/bin";
const UNIT = "mycoflow";
/** Of the host's time, of which a busy one gives the guest little. */
const PATIENCE_SECONDS = 600;

/** The package's UCI file, and the same for the stand-ins. */
function settings(enabled: boolean, downloadMax: number): { uciFile: string; lines: string[] } {
  const sections = {
    flow: {
      type: "flow",
      options: { enabled: enabled ? "1" : "0", egress_iface: ROUTER.wan, max_cpu: "100" },
    },
    download: {
      type: "bandwidth",
      options: { min: "2000", base: "9000", max: String(downloadMax) },
    },
    upload: { type: "bandwidth", options: { min: "1000", base: "4000", max: "4500" } },
  };
  const reflectors = REFLECTORS4.slice(0, 3).map((address) => `\tlist reflectors '${address}'\n`);
  const lines: string[] = [];
  let uciFile = "";
  for (const [name, { type, options }] of Object.entries(sections)) {
    lines.push(`mycoflow.${name}=${type}`);
    uciFile += `config ${type} '${name}'\n${name === "flow" ? reflectors.join("") : ""}`;
    for (const [option, value] of Object.entries(options)) {
      lines.push(`mycoflow.${name}.${option}=${value}`);
      uciFile += `\toption ${option} '${value}'\n`;
    }
  }
  return { uciFile, lines };
}

async function configure(guest: Machine, enabled: boolean, downloadMax: number): Promise<void> {
  const { uciFile, lines } = settings(enabled, downloadMax);
  await guest.run("cat >/etc/config/mycoflow", { input: Buffer.from(uciFile) });
  await guest.run(`cat >${STATE}/uci`, { input: Buffer.from(`${lines.join("\n")}\n`) });
}

/** Runs the init script. @returns what it asked procd for, a call a line */
async function init(guest: Machine, action: string): Promise<string[]> {
  return (
    await guest.succeed(
      `rm -f ${STATE}/calls; cd /
STATE=${STATE} PATH=${PROGRAMS}:$PATH busybox ash /etc/rc.common /etc/init.d/mycoflow ${action}
cat ${STATE}/calls`,
    )
  ).split("\n");
}

function wordsOf(calls: readonly string[], parameter: string): string[] {
  const prefix = `procd_set_param|${parameter}|`;
  return (
    calls
      .find((call) => call.startsWith(prefix))
      ?.slice(prefix.length)
      .split("|") ?? []
  );
}

/** Starts what the init script asked for, as procd and ujail would, in the router's namespace. */
async function launch(guest: Machine, calls: readonly string[]): Promise<void> {
  const [file = ""] = wordsOf(calls, "capabilities");
  const { bounding } = JSON.parse(await guest.succeed(`cat ${file}`)) as { bounding: string[] };
  const capabilities = bounding.map((name) => `+${name.replace("CAP_", "").toLowerCase()}`);
  assert.deepEqual(wordsOf(calls, "no_new_privs"), ["1"]);
  await guest.succeed(
    `systemd-run --quiet --unit=${UNIT} --setenv=PATH=${PROGRAMS}:/usr/sbin:/usr/bin --setenv=STATE=${STATE} \\
  --property=MemoryMax=64M --property=KillMode=process --property=TimeoutStopSec=20 \\
  ip netns exec ${ROUTER.namespace} setpriv --no-new-privs --inh-caps=-all \\
  --bounding-set=-all,${capabilities.join(",")} \\
  /usr/local/bin/busybox ash ${wordsOf(calls, "command").join(" ")}`,
  );
}

export default labScript({
  title: "the OpenWrt package, unpacked and started by its init script",
  machines: { guest: { clock: "instructions" } },
  limitSeconds: 1800,
  async test({ machines: { guest }, subtest, skip, note }) {
    if (!existsSync(BUSYBOX)) skip(`there is no ${BUSYBOX} on the host (Debian's package busybox)`);
    await execa(process.execPath, ["scripts/build-ipk.mjs"]);
    const ipk = `dist/mycoflow_${VERSION}-r1_all.ipk`;
    const router = new FlowRouter(guest);

    const status = async (): Promise<FlowStatus> =>
      JSON.parse(
        await guest.succeed(`curl -sf --max-time 30 --unix-socket ${SOCKET} http://localhost/flow`),
      );
    const untilRunning = (): Promise<unknown> =>
      guest.waitUntilSucceeds(
        `curl -sf --unix-socket ${SOCKET} http://localhost/flow | jq -e '.phase == "running"'`,
        PATIENCE_SECONDS,
      );

    await subtest("busybox unpacks it, and what it holds is root's", async () => {
      await guest.copyFromHost(BUSYBOX, "/usr/local/bin/busybox");
      await guest.copyFromHost(ipk, "/tmp/mycoflow.ipk");
      await guest.copyFromHost("tests/openwrt/stand-ins", "/opt/openwrt");
      await guest.succeed(
        `cd /tmp
busybox tar -xzf mycoflow.ipk
busybox tar -xzf data.tar.gz -C /
cp -R /opt/openwrt/lib/. /lib/
cp -R /opt/openwrt/etc/. /etc/
mkdir -p ${STATE}
: >${STATE}/networks
printf '#!/bin/sh\\nexec /usr/bin/tcpdump -Z root "$@"\\n' >${PROGRAMS}/tcpdump
chmod +x ${PROGRAMS}/tcpdump`,
      );
      const mode = await guest.succeed("stat -c '%A %U' /etc/init.d/mycoflow /etc/config/mycoflow");
      assert.equal(mode, "-rwxr-xr-x root\n-rw------- root\n");
      assert.match(await guest.succeed("/usr/bin/myco version"), /\d+\.\d+\.\d+/);
    });

    await router.build(LINE);
    const before = await router.footprint();

    await subtest("switched off, it asks procd for nothing", async () => {
      await configure(guest, false, 18_000);
      assert.deepEqual(wordsOf(await init(guest, "start"), "command"), []);
    });

    await subtest(
      "its own command line steers the line within 64 MB, with two capabilities",
      async () => {
        await configure(guest, true, 18_000);
        await launch(guest, await init(guest, "start"));
        await untilRunning();
        const root = await router.rootQdisc(ROUTER.wan);
        assert.deepEqual([root?.kind, root?.handle], ["cake", "6d79:"]);
        assert.equal(await router.shaperKbit("download"), 9_000);
        assert.equal(await router.shaperKbit("upload"), 4_000);
        await guest.waitUntilSucceeds(
          `curl -sf --unix-socket ${SOCKET} http://localhost/flow | jq -e '.reflectors | any(.rttMs != null)'`,
          PATIENCE_SECONDS,
        );
        const pid = (await guest.succeed(`systemctl show --value -p MainPID ${UNIT}`)).trim();
        const process = await guest.succeed(`cat /proc/${pid}/status`);
        assert.match(process, /^NoNewPrivs:\t1$/m);
        assert.match(process, /^CapBnd:\t0000000000003000$/m);
        assert.equal((await status()).problem, null);
        note(`memory peak ${await guest.succeed(`systemctl show --value -p MemoryPeak ${UNIT}`)}`);
      },
    );

    await subtest("a reload changes the rates and leaves the line in place", async () => {
      await guest.succeed(`touch ${STATE}/running`);
      await configure(guest, true, 10_000);
      assert.ok((await init(guest, "reload")).includes("procd_send_signal|mycoflow|*|HUP"));
      await guest.succeed(`systemctl kill --kill-whom=main --signal=HUP ${UNIT}`);
      await guest.waitUntilSucceeds(
        `journalctl -u ${UNIT} -o cat | grep -q 'was read again'`,
        PATIENCE_SECONDS,
      );
      assert.equal((await router.rootQdisc(ROUTER.wan))?.handle, "6d79:");
    });

    await subtest("SIGTERM puts the line back before procd's patience ends", async () => {
      await guest.succeed(`systemctl stop ${UNIT}`);
      assert.equal(await router.footprint(), before);
      await guest.fail(inNamespace(ROUTER.namespace, `ip link show dev ${IFB}`));
      const log = await guest.succeed(`journalctl -u ${UNIT} -o cat`);
      assert.doesNotMatch(log, /SIGKILL|timed out/i);
    });

    await subtest("one that ends soon waits before its next start", async () => {
      const calls = await init(guest, "start");
      const command = wordsOf(calls, "command").slice(0, 2).join(" ");
      const early = `busybox ash ${command} true`;
      assert.doesNotMatch(await guest.succeed(`${early} 2>&1`), /starts again/);
      assert.match(await guest.succeed(`${early} 2>&1`), /starts again in 5 s/);
    });

    await router.remove();
  },
});
