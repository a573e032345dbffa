// The init script in busybox' shell: when it has procd run the daemon, as what, and when it leaves
// the line to sqm.

import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { skipWithout } from "../skip-without.ts";
import { BUSYBOX, StandInRoot } from "./stand-in-root.ts";

const ENABLED = ["mycoflow.flow=flow", "mycoflow.flow.enabled=1"];
const SQM_ON_WAN = ["sqm.q=queue", "sqm.q.enabled=1", "sqm.q.interface=eth1"];

describe("the init script, in busybox' shell", () => {
  skipWithout(BUSYBOX, "busybox");
  let root: StandInRoot;
  beforeAll(() => {
    root = new StandInRoot();
  });
  beforeEach(() => {
    root.reset();
    root.setNetworks(["wan wan eth1"]);
  });
  afterAll(() => root.remove());

  const withSqm = (isEnabled: boolean): void => {
    root.write(
      "etc/init.d/sqm",
      `#!/bin/sh\n[ "$1" = enabled ] && exit ${isEnabled ? 0 : 1}\n`,
      0o755,
    );
  };

  it("has procd run the daemon with its configuration", () => {
    root.setUci(ENABLED);
    const { calls, stderr } = root.init("start");
    expect(stderr).toBe("");
    expect(calls).toContain(
      "procd_set_param|command|/usr/lib/myco/start|/var/run/myco|/usr/bin/myco|daemon|--config|/etc/myco/config.yaml",
    );
    expect(calls.filter((call) => call === "procd_open_instance")).toHaveLength(1);
    expect(calls.indexOf("procd_close_instance")).toBeGreaterThan(
      calls.indexOf("procd_open_instance"),
    );
  });

  it("asks for least privilege, a bounded life after crashes, and time to put the line back", () => {
    root.setUci(ENABLED);
    const { calls } = root.init("start");
    for (const call of [
      "procd_set_param|capabilities|/etc/capabilities/mycoflow.json",
      "procd_set_param|no_new_privs|1",
      "procd_add_jail|mycoflow",
      "procd_set_param|respawn|300|5|0",
      "procd_set_param|term_timeout|20",
      "procd_set_param|stdout|1",
      "procd_set_param|stderr|1",
    ]) {
      expect(calls).toContain(call);
    }
    const { bounding } = JSON.parse(root.read("etc/capabilities/mycoflow.json"));
    expect(bounding).toEqual(["CAP_NET_ADMIN", "CAP_NET_RAW"]);
  });

  it("lets a service that is started by hand begin without the last crash's pause", () => {
    root.setUci(ENABLED);
    root.write("var/run/myco/start", "10 300\n");
    expect(root.init("start").calls).toContain("procd_open_instance");
    expect(root.has("var/run/myco/start")).toBe(false);
  });

  it.each([
    ["nothing is set", []],
    ["the line is switched off", ["mycoflow.flow=flow", "mycoflow.flow.enabled=0"]],
    ["the switch is left out", ["mycoflow.flow=flow"]],
  ])("runs nothing, and says nothing, while %s", (_, uci) => {
    root.setUci(uci);
    const { calls, stderr } = root.init("start");
    expect(calls).not.toContain("procd_open_instance");
    expect(calls).toContain("set");
    expect(stderr).toBe("");
  });

  it("takes a section without a name for the one", () => {
    root.setUci(["mycoflow.cfg01a2b3=flow", "mycoflow.cfg01a2b3.enabled=1"]);
    expect(root.init("start").calls).toContain("procd_open_instance");
  });

  it("refuses a configuration with a mistake, and says where to look", () => {
    root.setUci([...ENABLED, "mycoflow.flow.sample_hz=99"]);
    const { calls, stderr } = root.init("start");
    expect(calls).not.toContain("procd_open_instance");
    expect(stderr).toContain("mistake in section flow");
    expect(calls.join("\n")).toContain("logger -t mycoflow -p daemon.err");
  });

  it("is told of changes of its own settings, of sqm's, and of the line", () => {
    root.setUci(ENABLED);
    root.setNetworks(["wan internet pppoe-internet"]);
    const { calls } = root.init("start");
    expect(calls).toContain("procd_add_reload_trigger|mycoflow|sqm");
    expect(calls).toContain("procd_add_reload_interface_trigger|internet");
    root.setNetworks([]);
    expect(root.init("start").calls).toContain("procd_add_reload_interface_trigger|wan");
  });

  describe("beside sqm", () => {
    it("leaves a line alone that sqm shapes, and says how to hand it over", () => {
      withSqm(true);
      root.setUci([...ENABLED, ...SQM_ON_WAN]);
      const { calls, stderr } = root.init("start");
      expect(calls).not.toContain("procd_open_instance");
      expect(stderr).toContain("sqm shapes eth1");
      expect(stderr).toContain("disable that queue");
    });

    it.each<readonly [string, boolean, readonly string[]]>([
      ["is not enabled", false, SQM_ON_WAN],
      [
        "has its queue switched off",
        true,
        ["sqm.q=queue", "sqm.q.enabled=0", "sqm.q.interface=eth1"],
      ],
      ["shapes another device", true, ["sqm.q=queue", "sqm.q.enabled=1", "sqm.q.interface=eth9"]],
    ])("takes the line when sqm %s", (_, isEnabled, uci) => {
      withSqm(isEnabled);
      root.setUci([...ENABLED, ...uci]);
      expect(root.init("start").calls).toContain("procd_open_instance");
    });

    it("takes the line when sqm is not installed, whatever is left of its settings", () => {
      root.setUci([...ENABLED, ...SQM_ON_WAN]);
      expect(root.init("start").calls).toContain("procd_open_instance");
    });

    it("looks at the device that is named, not at the default route's", () => {
      withSqm(true);
      root.setUci([...ENABLED, "mycoflow.flow.egress_iface=eth2", ...SQM_ON_WAN]);
      expect(root.init("start").calls).toContain("procd_open_instance");
    });

    it.each(["shadow", "dummy"])("gets along in mode %s, which touches nothing", (mode) => {
      withSqm(true);
      root.setUci([...ENABLED, `mycoflow.flow.mode=${mode}`, ...SQM_ON_WAN]);
      expect(root.init("start").calls).toContain("procd_open_instance");
    });

    it("takes the line exactly when none of sqm's queues is on and on it", () => {
      withSqm(true);
      const queue = fc.record({
        isOn: fc.boolean(),
        device: fc.constantFrom("eth0", "eth1", "eth12"),
      });
      fc.assert(
        fc.property(fc.array(queue, { maxLength: 4 }), (queues) => {
          const lines = queues.flatMap(({ isOn, device }, index) => [
            `sqm.q${index}=queue`,
            `sqm.q${index}.enabled=${isOn ? 1 : 0}`,
            `sqm.q${index}.interface=${device}`,
          ]);
          root.setUci([...ENABLED, ...lines]);
          const isTaken = queues.some(({ isOn, device }) => isOn && device === "eth1");
          expect(root.init("start").calls.includes("procd_open_instance")).toBe(!isTaken);
        }),
        { numRuns: 10 },
      );
    });
  });

  describe("asked to reload", () => {
    it("sends a running daemon a signal and leaves the line as it is", () => {
      root.setService({ running: true });
      root.setUci(ENABLED);
      const { calls } = root.init("reload");
      expect(calls).toContain("procd_send_signal|mycoflow|*|HUP");
      expect(calls).not.toContain("start");
    });

    it("starts a daemon that does not run", () => {
      root.setUci(ENABLED);
      const { calls } = root.init("reload");
      expect(calls).toContain("procd_open_instance");
      expect(calls.join()).not.toContain("procd_send_signal");
    });

    it("ends a daemon that was switched off, by telling procd that nothing is to run", () => {
      root.setService({ running: true });
      root.setUci(["mycoflow.flow=flow", "mycoflow.flow.enabled=0"]);
      const { calls } = root.init("reload");
      expect(calls).not.toContain("procd_open_instance");
      expect(calls).toContain("set");
    });

    it("ends a daemon whose line sqm has taken", () => {
      withSqm(true);
      root.setService({ running: true });
      root.setUci([...ENABLED, ...SQM_ON_WAN]);
      const { calls } = root.init("reload");
      expect(calls.join()).not.toContain("procd_send_signal");
      expect(calls).not.toContain("procd_open_instance");
      expect(calls).toContain("set");
    });
  });
});

describe("the hotplug script, in busybox' shell", () => {
  skipWithout(BUSYBOX, "busybox");
  let root: StandInRoot;
  const plug = (environment: Readonly<Record<string, string>>) => {
    root.write("etc/init.d/mycoflow", '#!/bin/sh\necho "init $1" >>"$STATE/calls"\n', 0o755);
    return root
      .run(["etc/hotplug.d/iface/12-mycoflow"], environment)
      .calls.filter((call) => call.startsWith("init "));
  };
  beforeAll(() => {
    root = new StandInRoot();
  });
  beforeEach(() => {
    root.reset();
    root.setNetworks(["wan wan eth1"]);
  });
  afterAll(() => root.remove());

  it.each<readonly [string, readonly string[]]>([
    ["named", ["mycoflow.flow=flow", "mycoflow.flow.egress_iface=eth1"]],
    ["the default route's", ["mycoflow.flow=flow"]],
  ])("has it looked at anew who shapes the line, when the line comes up: %s", (_, uci) => {
    root.setUci(uci);
    expect(plug({ ACTION: "ifup", INTERFACE: "wan", DEVICE: "eth1" })).toEqual([
      "init enabled",
      "init reload",
    ]);
  });

  it.each([
    ["another interface comes up", { ACTION: "ifup", INTERFACE: "lan", DEVICE: "br-lan" }],
    ["the line goes down", { ACTION: "ifdown", INTERFACE: "wan", DEVICE: "eth1" }],
    ["an interface without a device comes up", { ACTION: "ifup", INTERFACE: "wan" }],
  ])("does nothing when %s", (_, environment) => {
    expect(plug(environment)).not.toContain("init reload");
  });
});
