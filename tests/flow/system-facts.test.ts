// Interfaces, the default route and our own usage, as the kernel's files tell them.

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { defaultDeviceOf, findDefaultDevice } from "../../src/flow/sense/default-route.ts";
import { InterfaceCounters } from "../../src/flow/sense/interface-counters.ts";
import {
  cpuMsOfStat,
  ProcessUsageMeter,
  residentBytesOfStatus,
} from "../../src/flow/sense/process-usage.ts";
import { FakeFiles } from "./fakes.ts";

let files: FakeFiles;
beforeEach(() => {
  files = new FakeFiles();
});

describe("an interface", () => {
  function setInterface(index: number, receivedBytes: number, state = "up"): void {
    files.texts.set("/sys/class/net/wan0/ifindex", `${index}\n`);
    files.texts.set("/sys/class/net/wan0/statistics/rx_bytes", `${receivedBytes}\n`);
    files.texts.set("/sys/class/net/wan0/statistics/tx_bytes", "77\n");
    files.texts.set("/sys/class/net/wan0/operstate", `${state}\n`);
  }

  test("tells its bytes from files that stay open", () => {
    setInterface(3, 1_000);
    const counters = new InterfaceCounters(files, "wan0");
    expect(counters.read()).toEqual({ receivedBytes: 1_000, sentBytes: 77, isUp: true, index: 3 });
    const openCount = files.openCount;
    setInterface(3, 2_000);
    expect(counters.read()?.receivedBytes).toBe(2_000);
    expect(files.openCount).toBe(openCount);
    counters.close();
    expect(files.openCount).toBe(0);
  });

  test.each([
    ["up", true],
    ["unknown", true],
    ["down", false],
    ["lowerlayerdown", false],
    ["dormant", false],
  ])("in state %s is up: %s", (state, isUp) => {
    setInterface(3, 0, state);
    expect(new InterfaceCounters(files, "wan0").read()?.isUp).toBe(isUp);
  });

  test("that is gone has no reading, and has another number when it was made again", () => {
    setInterface(3, 1_000);
    const counters = new InterfaceCounters(files, "wan0");
    counters.read();
    files.texts.clear();
    expect(counters.read()).toBe(null);
    expect(files.openCount).toBe(0);
    setInterface(4, 5);
    expect(counters.read()).toMatchObject({ index: 4, receivedBytes: 5 });
  });

  test.each(["", "-1\n", "nonsense\n", "1 2\n"])("with a counter of %j has no reading", (text) => {
    setInterface(3, 0);
    files.texts.set("/sys/class/net/wan0/statistics/rx_bytes", text);
    expect(new InterfaceCounters(files, "wan0").read()).toBe(null);
    expect(files.openCount).toBe(3);
  });

  test.each(["", "..", "a/b", "sixteen-letters-"])("cannot be named %j", (name) => {
    files.texts.set(`/sys/class/net/${name}/ifindex`, "1");
    expect(new InterfaceCounters(files, name).read()).toBe(null);
  });
});

describe("the default route", () => {
  const ipv4 = readFileSync(new URL("captures/proc-net-route.txt", import.meta.url), "utf8");
  const ipv6 = readFileSync(new URL("captures/proc-net-ipv6_route.txt", import.meta.url), "utf8");

  test("is found in what a kernel printed, IPv4's first", () => {
    files.texts.set("/proc/net/route", ipv4);
    files.texts.set("/proc/net/ipv6_route", ipv6.replaceAll("wan0", "wan6"));
    expect(findDefaultDevice(files)).toBe("wan0");
    expect(defaultDeviceOf("", ipv6)).toBe("wan0");
    files.texts.clear();
    expect(findDefaultDevice(files)).toBe(null);
  });

  test("with the lowest metric wins; one that is down or rejects does not count", () => {
    const route = (device: string, flags: string, metric: number, mask = "00000000"): string =>
      `${device}\t00000000\t0101A8C0\t${flags}\t0\t0\t${metric}\t${mask}\t0\t0\t0\n`;
    const table =
      route("down0", "0000", 0) +
      route("reject0", "0201", 0) +
      route("half0", "0003", 0, "00000080") +
      route("lte0", "0003", 700) +
      route("dsl0", "0003", 100) +
      route("late0", "0003", 100);
    expect(defaultDeviceOf(table, ipv6)).toBe("dsl0");
  });

  test("is no interface of our own making in any text", () => {
    const word = fc.constantFrom("00000000", "0".repeat(32), "00", "lo", "0003", "\n", "\t", " ");
    const text = fc
      .array(fc.oneof(word, fc.string({ maxLength: 4 })))
      .map((words) => words.join(" "));
    fc.assert(
      fc.property(text, text, (four, six) => {
        const device = defaultDeviceOf(four, six);
        if (device !== null) expect(`${four} ${six}`).toContain(device);
        expect(device).not.toBe("lo");
      }),
    );
  });
});

describe("usage", () => {
  function setProcess(name: string | number, ticks: number, residentKib: number): void {
    const stat = `7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 ${ticks} 1 90 90 20 0 1 0 100 0 0\n`;
    files.texts.set(`/proc/${name}/stat`, stat);
    files.texts.set(`/proc/${name}/status`, `Name:\ta\nVmHWM:\t9 kB\nVmRSS:\t${residentKib} kB\n`);
  }

  test("is the daemon's and its children's since the reading before", () => {
    const meter = new ProcessUsageMeter(files);
    setProcess("self", 100, 40_000);
    setProcess(7, 50, 2_000);
    expect(meter.read([7, null], 0)).toBe(null);
    setProcess("self", 110, 41_000);
    setProcess(7, 55, 2_000);
    expect(meter.read([7], 1_000)).toEqual({ cpuPercent: 15, residentBytes: 43_000 * 1_024 });
  });

  test("counts all of a child that is new, and never below nothing when a pid is used again", () => {
    const meter = new ProcessUsageMeter(files);
    setProcess("self", 0, 0);
    setProcess(7, 500, 0);
    meter.read([7], 0);
    setProcess(7, 9, 0);
    setProcess(8, 19, 0);
    expect(meter.read([7, 8, 9], 1_000)?.cpuPercent).toBe(10 + 20);
  });

  test("is unknown where there is no procfs", () => {
    const meter = new ProcessUsageMeter(files);
    meter.read([], 0);
    expect(meter.read([7], 1_000)).toBe(null);
  });

  test("of any text is a number that can be, or none", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const cpuMs = cpuMsOfStat(text);
        expect(cpuMs === null || cpuMs >= 0).toBe(true);
        expect(residentBytesOfStatus(text)).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
