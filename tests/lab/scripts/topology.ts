// The small internet that flow tests and the bench run in: its addresses, rates, queues and delays.

import assert from "node:assert/strict";
import { FLOW_MACHINES } from "../flow-guest.ts";
import { labScript } from "../script.ts";
import {
  BAD_REFLECTOR4,
  buildTopology,
  pathBatch,
  REFLECTORS4,
  REFLECTORS6,
  rateBatch,
  removeTopology,
  SERVER,
} from "../topology.ts";

export default labScript({
  title: "the namespaces client – router – isp – path – server",
  machines: FLOW_MACHINES,
  reuse: true,
  limitSeconds: 1200,
  async test({ machines: { guest }, subtest, note }) {
    const client = "ip netns exec client";
    /** Average round trip in milliseconds of a few pings from the client. */
    const rttMs = async (address: string): Promise<number> => {
      const output = await guest.succeed(`${client} ping -q -c5 -i0.2 -W5 ${address}`);
      return Number(/= [\d.]+\/([\d.]+)\//.exec(output)?.[1]);
    };
    /** What four TCP flows carry in 4 seconds, in kbit/s at the receiver. */
    const goodputKbit = async (options: string): Promise<number> => {
      const json = await guest.succeed(`${client} iperf3 -J -t4 -P4 ${options}`);
      return JSON.parse(json).end.sum_received.bits_per_second / 1000;
    };

    await subtest("the namespaces come up, and again over themselves", async () => {
      const build = buildTopology({ downloadKbit: 20_000, uploadKbit: 5_000 });
      await guest.succeed(build);
      await guest.succeed(build);
      await guest.succeed("ip netns exec server iperf3 -s -D");
    });

    await subtest("every reflector answers over both families after the path's delay", async () => {
      for (const address of [...REFLECTORS4, ...REFLECTORS6]) {
        await guest.succeed(`${client} ping -q -c1 -W5 ${address}`);
      }
      for (const address of [REFLECTORS4[0]!, REFLECTORS6[0]!]) {
        const measuredMs = await rttMs(address);
        note(`${address}: ${measuredMs} ms`);
        assert.ok(measuredMs >= 20 && measuredMs < 60, `${measuredMs} ms`);
      }
    });

    await subtest("the line carries its rate and no more, each way, in both families", async () => {
      for (const [options, limitKbit] of [
        [`-R -c ${SERVER.address4}`, 20_000],
        [`-c ${SERVER.address4}`, 5_000],
        [`-R -c ${SERVER.address6}`, 20_000],
      ] as const) {
        const kbit = await goodputKbit(options);
        note(`iperf3 ${options}: ${kbit.toFixed(0)} kbit/s`);
        assert.ok(kbit > limitKbit * 0.7 && kbit < limitKbit, `${kbit} of ${limitKbit} kbit/s`);
      }
    });

    await subtest("its queue is deep: load adds hundreds of milliseconds", async () => {
      await guest.succeed(`${client} iperf3 -t8 -P4 -R -c ${SERVER.address4} >/dev/null &`);
      await guest.succeed("sleep 4");
      const loadedMs = await rttMs(REFLECTORS4[0]!);
      note(`${loadedMs} ms under load`);
      assert.ok(loadedMs > 200, `${loadedMs} ms`);
      await guest.waitUntilFails("pgrep -f 'iperf3 -t8'", 30);
    });

    await subtest("rate, path and the bad reflector change while it runs", async () => {
      await guest.succeed(`tc -n isp -batch - <<'E'\n${rateBatch("download", 8_000)}E`);
      assert.ok((await goodputKbit(`-R -c ${SERVER.address4}`)) < 8_000);
      const path = pathBatch({ rttMs: 60, badReflectorMs: 100 });
      await guest.succeed(`tc -n path -batch - <<'E'\n${path}E`);
      assert.ok((await rttMs(REFLECTORS4[0]!)) >= 60);
      assert.ok((await rttMs(BAD_REFLECTOR4)) >= 160);
      const outage = pathBatch({ rttMs: 60, lossPercent: 100 });
      await guest.succeed(`tc -n path -batch - <<'E'\n${outage}E`);
      await guest.fail(`${client} ping -q -c2 -i0.2 -W1 ${REFLECTORS4[0]}`);
    });

    await subtest("the router counts both families' flows both ways", async () => {
      const path = pathBatch({ rttMs: 20 });
      await guest.succeed(`tc -n path -batch - <<'E'\n${path}E`);
      for (const address of [SERVER.address4, SERVER.address6]) {
        await guest.succeed(`${client} bash -c 'echo | nc -N -w5 ${address} 5201 || true'`);
        const rows = await guest.succeed(
          `ip netns exec router conntrack -L -f ${address.includes(":") ? "ipv6" : "ipv4"} --dst ${address}`,
        );
        assert.match(rows, /packets=\d+ bytes=\d+ .*packets=\d+ bytes=\d+/);
      }
    });

    await guest.succeed(removeTopology());
    assert.equal((await guest.succeed("ip netns list")).trim(), "");
  },
});
