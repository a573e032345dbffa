// What the bench's children wrote is read as it was meant, and any other text as nothing.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseLoadLog } from "../../bench/flow/logs/load-log.ts";
import { parsePingLog } from "../../bench/flow/logs/ping-log.ts";
import { parseQdiscLog } from "../../bench/flow/logs/qdisc-log.ts";
import { parseVoice } from "../../bench/flow/logs/voice-capture.ts";

describe("the log of fping", () => {
  test("answers have their time, losses have none, and the summary is no probe", () => {
    const text = [
      "[1795342430.31748] 203.0.113.10 : [0], 64 bytes, 24.5 ms (45.1 avg, 0% loss)",
      "[1795342430.40000] 203.0.113.10 : [1], timed out (45.1 avg, 50% loss)",
      "",
      "203.0.113.10 : xmt/rcv/%loss = 1383/1382/0%, min/avg/max = 20.8/45.1/473",
      "[1795342430.5",
    ].join("\n");
    const probes = parsePingLog(text);
    expect(probes.map((probe) => probe.rttMs)).toEqual([24.5, null]);
    expect(probes[0]!.atMs).toBeCloseTo(1795342430317.48, 1);
  });
});

describe("the log of iperf3", () => {
  const flow = "1000500 [  5]   0.00-0.50   sec   640 KBytes  10480 Kbits/sec";
  const sum = "1000500 [SUM]   0.00-0.50   sec  2.50 MBytes  41943 Kbits/sec";

  test("sums stand for their flows", () => {
    expect(parseLoadLog(`${flow}\n${sum}\n`)).toEqual([
      { startMs: 1_000_000, endMs: 1_000_500, kbit: 41_943 },
    ]);
  });

  test("a single flow is its own sum", () => {
    expect(parseLoadLog(flow)).toEqual([{ startMs: 1_000_000, endMs: 1_000_500, kbit: 10_480 }]);
  });

  test("the closing summary and slivers of an interval are left out", () => {
    const closing = "1060000 [SUM]   0.00-60.04  sec   385 MBytes  53740 Kbits/sec   receiver";
    const sliver = "1060001 [SUM]  60.00-60.04  sec  12.0 KBytes   2400 Kbits/sec";
    expect(parseLoadLog(`${sum}\n${sliver}\n${closing}`)).toHaveLength(1);
  });

  test("a sender's line with retransmissions is read too", () => {
    const line = `${sum}    3             sender`.replace("sender", "");
    expect(parseLoadLog(line)).toHaveLength(1);
  });
});

describe("the log of tc monitor", () => {
  const at = "[2026-11-22T10:12:47.986754]";

  test.each([
    ["19Mbit", 19_000],
    ["18123Kbit", 18_123],
    ["800bit", 0.8],
    ["1Gbit", 1_000_000],
    ["unlimited", null],
  ])("bandwidth %s", (printed, rateKbit) => {
    const text = `${at} qdisc cake 8002: dev wan0 root refcnt 3 bandwidth ${printed} diffserv4 nat`;
    expect(parseQdiscLog(text)).toMatchObject([{ device: "wan0", rateKbit }]);
  });

  test("time is read to the microsecond, and a deletion has no rate", () => {
    const text = `${at} deleted qdisc cake 8002: dev wan0 root bandwidth 19Mbit diffserv4`;
    const [change] = parseQdiscLog(text);
    expect(change!.rateKbit).toBeNull();
    expect(change!.atMs).toBeCloseTo(Date.UTC(2026, 10, 22, 10, 12, 47, 986) + 0.754, 3);
  });

  test("other qdiscs are not ours to count", () => {
    expect(parseQdiscLog(`${at} qdisc htb 1: dev wan0 root bandwidth 19Mbit`)).toEqual([]);
  });
});

describe("the captures of the call", () => {
  const SSRC = 7;
  const packet = fc.record({
    gapMs: fc.integer({ min: 1, max: 50 }),
    delayMs: fc.option(fc.integer({ min: 1, max: 500 }), { nil: null }),
    dscp: fc.integer({ min: 0, max: 63 }),
  });

  test("every packet that was sent comes back with its delay, its loss and its mark", () => {
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 60 }), (packets) => {
        let sentMs = 5_000;
        const sent = packets.map((p, sequence) => {
          sentMs += p.gapMs;
          return { ...p, sequence, sentMs };
        });
        const arrived = sent
          .flatMap((p) => (p.delayMs === null ? [] : [{ ...p, atMs: p.sentMs + p.delayMs }]))
          .sort((a, b) => a.atMs - b.atMs);
        const voice = parseVoice(
          capture(sent.map((p) => ({ atMs: p.sentMs, sequence: p.sequence, dscp: 0 }))),
          capture(arrived),
          SSRC,
        );
        expect(voice).toEqual(
          sent.map((p) => ({
            sentMs: p.sentMs,
            receivedMs: p.delayMs === null ? null : p.sentMs + p.delayMs,
            dscp: p.delayMs === null ? null : p.dscp,
          })),
        );
      }),
    );
  });

  test("another speaker's packets are not the call's", () => {
    const both = capture([{ atMs: 5_000, sequence: 0, dscp: 46 }]);
    expect(parseVoice(both, both, SSRC + 1)).toEqual([]);
  });

  test("no bytes break it, nor does a capture that was cut short", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.nat(200), (noise, cut) => {
        const whole = capture([
          { atMs: 1, sequence: 0, dscp: 0 },
          { atMs: 2, sequence: 1, dscp: 0 },
        ]);
        const broken = new Uint8Array([...whole.subarray(0, cut), ...noise]);
        expect(parseVoice(broken, whole, SSRC).length).toBeLessThanOrEqual(broken.length);
        expect(parseVoice(whole, broken, SSRC)).toHaveLength(2);
      }),
    );
  });

  /** pcap with one Ethernet, IPv4, UDP, RTP packet a record. */
  function capture(
    packets: readonly { atMs: number; sequence: number; dscp: number }[],
  ): Uint8Array {
    const size = 54;
    const bytes = new Uint8Array(24 + packets.length * (16 + size));
    const view = new DataView(bytes.buffer);
    view.setUint32(0, 0xa1b2c3d4, true);
    for (const [index, { atMs, sequence, dscp }] of packets.entries()) {
      const record = 24 + index * (16 + size);
      view.setUint32(record, Math.floor(atMs / 1_000), true);
      view.setUint32(record + 4, (atMs % 1_000) * 1_000, true);
      view.setUint32(record + 8, size, true);
      const ethernet = record + 16;
      view.setUint16(ethernet + 12, 0x0800);
      view.setUint8(ethernet + 14, 0x45);
      view.setUint8(ethernet + 15, dscp << 2);
      view.setUint8(ethernet + 23, 17);
      view.setUint16(ethernet + 44, sequence);
      view.setUint32(ethernet + 50, SSRC);
    }
    return bytes;
  }
});

test("no text breaks a parser", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      for (const parse of [parsePingLog, parseLoadLog, parseQdiscLog]) {
        expect(Array.isArray(parse(text))).toBe(true);
      }
    }),
  );
});
