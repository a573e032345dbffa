// What the first boot sets, and what it leaves alone.

import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parseUciFlowSettings } from "../../src/flow/uci/flow-options.ts";
import type { FlowSettings } from "../../src/schema/flow-settings.ts";
import { skipWithout } from "../skip-without.ts";
import { BUSYBOX, StandInRoot } from "./stand-in-root.ts";

const SCRIPT = "etc/uci-defaults/80-mycoflow";
const DHCP = ["network.wan=interface", "network.wan.proto=dhcp", "network.wan.device=eth1"];
const PPPOE = ["network.wan=interface", "network.wan.proto=pppoe", "network.wan.device=eth1"];
const SQM = ["sqm.q=queue", "sqm.q.interface=eth1", "sqm.q.download=45000", "sqm.q.upload=9000"];

describe("the first boot, in busybox' shell", () => {
  skipWithout(BUSYBOX, "busybox");
  let root: StandInRoot;
  beforeAll(() => {
    root = new StandInRoot();
  });
  beforeEach(() => root.reset());
  afterAll(() => root.remove());

  const boot = (uci: readonly string[]): string[] => {
    root.setUci(uci);
    const { exitCode, stderr, calls } = root.run([SCRIPT]);
    // opkg and the boot delete the script only after a 0.
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(calls.at(-1)).toBe("uci commit mycoflow");
    return root.uci();
  };
  /** What the daemon reads out of it. */
  const settings = (lines: readonly string[]): FlowSettings =>
    parseUciFlowSettings(uciText(lines), "mycoflow");

  it("names the device of a line that speaks DHCP", () => {
    expect(boot(DHCP)).toContain("mycoflow.flow.egress_iface=eth1");
  });

  it("names the device that PPPoE will make", () => {
    expect(boot(PPPOE)).toContain("mycoflow.flow.egress_iface=pppoe-wan");
  });

  it.each<readonly [string, readonly string[]]>([
    ["no wan", []],
    [
      "a protocol whose device is not known yet",
      ["network.wan=interface", "network.wan.proto=qmi"],
    ],
    ["an alias", ["network.wan=interface", "network.wan.proto=dhcp", "network.wan.device=@lan"]],
  ])("names none, so that the default route's is taken: %s", (_, uci) => {
    expect(boot(uci).join()).not.toContain("egress_iface");
  });

  it("takes the rates that somebody measured for sqm, with room above", () => {
    root.write("etc/config/sqm", "");
    const { download, upload } = settings(boot([...DHCP, ...SQM]));
    expect(download).toEqual({ minKbit: 9_000, baseKbit: 45_000, maxKbit: 56_250 });
    expect(upload).toEqual({ minKbit: 1_800, baseKbit: 9_000, maxKbit: 11_250 });
  });

  it("takes no rates of a queue on another device, nor of one without a limit", () => {
    root.write("etc/config/sqm", "");
    const others = SQM.map((line) => line.replace("eth1", "eth7"));
    expect(boot([...DHCP, ...others]).join()).not.toContain("mycoflow.download.base");
    const unlimited = ["sqm.q=queue", "sqm.q.interface=eth1", "sqm.q.download=0", "sqm.q.upload=0"];
    expect(boot([...DHCP, ...unlimited]).join()).not.toContain("mycoflow.download.base");
  });

  it("lets the loop find the line's rate below the cable's where nobody measured", () => {
    root.write("sys/class/net/eth1/speed", "1000\n");
    const { download, upload } = settings(boot(DHCP));
    expect(download).toEqual({ minKbit: 5_000, baseKbit: 20_000, maxKbit: 950_000 });
    expect(upload).toEqual(download);
  });

  it("leaves the defaults where there is no cable", () => {
    root.write("sys/class/net/eth1/speed", "-1\n");
    expect(boot(DHCP).join()).not.toContain("mycoflow.download.max");
  });

  it("does not switch the line's steering on", () => {
    expect(settings(boot(DHCP)).enabled).toBe(false);
  });

  it("overwrites nothing that is set", () => {
    root.write("etc/config/sqm", "");
    root.write("sys/class/net/eth1/speed", "1000\n");
    const own = [
      "mycoflow.flow=flow",
      "mycoflow.flow.egress_iface=eth1",
      "mycoflow.flow.enabled=1",
      "mycoflow.download=bandwidth",
      "mycoflow.download.max=30000",
      "mycoflow.upload=bandwidth",
    ];
    const after = boot([...DHCP, ...SQM, ...own]);
    expect(after).toEqual(expect.arrayContaining(own));
    expect(after.filter((line) => line.startsWith("mycoflow.download."))).toEqual([
      "mycoflow.download.max=30000",
    ]);
  });

  it("gives settings the daemon takes, and done again changes nothing, whatever it finds", () => {
    const found = fc.record({
      proto: fc.constantFrom("dhcp", "pppoe", "static", "qmi"),
      mbit: fc.constantFrom("", "-1", "10", "100", "1000", "2500", "10000", "x"),
      download: fc.constantFrom("", "0", "499", "500", "800", "45000", "1000000"),
      upload: fc.constantFrom("", "0", "600", "9000"),
    });
    fc.assert(
      fc.property(found, ({ proto, mbit, download, upload }) => {
        root.reset();
        root.write("etc/config/sqm", "");
        root.write("sys/class/net/eth1/speed", `${mbit}\n`);
        const uci = DHCP.map((line) => line.replace("=dhcp", `=${proto}`));
        uci.push("sqm.q=queue", "sqm.q.interface=eth1");
        if (download !== "") uci.push(`sqm.q.download=${download}`);
        if (upload !== "") uci.push(`sqm.q.upload=${upload}`);
        const once = boot(uci);
        settings(once);
        expect(boot(once)).toEqual(once);
      }),
      { numRuns: 15 },
    );
  });
});

/** The lines of package mycoflow as /etc/config/mycoflow. */
function uciText(lines: readonly string[]): string {
  const sections = lines.flatMap((line) => {
    const [, name, type] = /^mycoflow\.(\w+)=(.*)$/.exec(line) ?? [];
    return name === undefined ? [] : [{ name, type }];
  });
  const text = sections.map(({ name, type }) => {
    const options = lines.flatMap((line) => {
      const [, section, option, value] = /^mycoflow\.(\w+)\.(\w+)=(.*)$/.exec(line) ?? [];
      return section === name ? [`\toption ${option} '${value}'\n`] : [];
    });
    return `config ${type} '${name}'\n${options.join("")}`;
  });
  return text.join("\n");
}
