// The image script against a stand-in ImageBuilder, which notes what it is asked to make; and the
// compose file, as far as it can be judged without Docker.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { buildIpk, FEED_PACKAGES, feedPackage } from "../../scripts/build-ipk.mjs";
import { parseConfiguration } from "../../src/schema/configuration.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A Makefile that notes its variables and the overlay's files. */
const MAKEFILE = `image:
	@echo "PROFILE=$(PROFILE) PACKAGES=$(PACKAGES) ROOTFS_PARTSIZE=$(ROOTFS_PARTSIZE)"
	@cat $(FILES)/etc/uci-defaults/*
`;

describe("the image script", () => {
  const builder = mkdtempSync(join(tmpdir(), "myco-builder-"));
  beforeAll(() => {
    for (const name of FEED_PACKAGES) buildIpk(name);
    mkdirSync(join(builder, "packages"));
    writeFileSync(join(builder, "Makefile"), MAKEFILE);
  });
  afterAll(() => rmSync(builder, { recursive: true }));

  const make = (target: string, ...words: string[]) => {
    const [board, subtarget] = target.split("/");
    const config = `CONFIG_TARGET_BOARD="${board}"\nCONFIG_TARGET_SUBTARGET="${subtarget}"\n`;
    writeFileSync(join(builder, ".config"), config);
    return spawnSync("sh", ["images/openwrt.sh", builder, ...words], {
      cwd: ROOT,
      encoding: "utf8",
    });
  };

  it.each([
    ["x86-64", "x86/64", "generic", "512"],
    ["rpi-4", "bcm27xx/bcm2711", "rpi-4", "512"],
    ["ax3000t", "mediatek/filogic", "xiaomi_mi-router-ax3000t", ""],
  ])(
    "asks for %s with its profile, our packages, and steering on from the first boot",
    (device, target, profile, size) => {
      const { stdout, stderr, status } = make(target, device, "tmux");
      expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
      expect(stdout).toContain(
        `PROFILE=${profile} PACKAGES=luci tmux mycoflow luci-app-mycoflow ROOTFS_PARTSIZE=${size}`,
      );
      expect(stdout).toContain("uci set mycoflow.flow.enabled=1");
      for (const name of FEED_PACKAGES) {
        const { stdout: found } = spawnSync("ls", [join(builder, "packages")], {
          encoding: "utf8",
        });
        expect(found).toContain(`${name}_`);
      }
    },
  );

  it("refuses a builder of another target, a device it does not know, and a folder that is none", () => {
    expect(make("x86/64", "rpi-4")).toMatchObject({ status: 1 });
    expect(make("x86/64", "rpi-4").stderr).toContain("is not for bcm27xx/bcm2711");
    expect(make("x86/64", "toaster")).toMatchObject({ status: 2 });
    const { status, stderr } = spawnSync("sh", ["images/openwrt.sh", "/nonexistent", "x86-64"], {
      cwd: ROOT,
      encoding: "utf8",
    });
    expect({ status, stderr }).toMatchObject({ status: 1 });
    expect(stderr).toContain("is no ImageBuilder");
  });
});

describe("the images that Nix makes", () => {
  it("have all that the daemon's package depends on", () => {
    const [, list = ""] = /packages = \[([^\]]*)\]/.exec(
      readFileSync("images/openwrt.nix", "utf8"),
    )!;
    const there = list.replace('"nftables-json"', '"nftables"').match(/(?<=")[^"\n]+(?=")/g);
    expect(there?.sort()).toEqual(["luci", ...feedPackage("mycoflow").depends].sort());
  });
});

describe("the simulation setting", () => {
  const compose = parse(readFileSync(join(ROOT, "docker-compose.yml"), "utf8"), { merge: true });
  const dockerfile = readFileSync(join(ROOT, "images/simulation/Dockerfile"), "utf8");

  it("invites every node but the founder", () => {
    const names = Object.keys(compose.services);
    const { MYCO_GUESTS, MYCO_ADDRESS } = compose.services.one.environment;
    expect(["one", ...MYCO_GUESTS.split(" ")]).toEqual(names);
    expect(compose.services.one.networks.mesh.ipv4_address).toBe(MYCO_ADDRESS);
  });

  it("restarts each node, bounds its memory and gives it no privilege", () => {
    for (const [name, service] of Object.entries(compose.services)) {
      expect(service).toMatchObject({
        hostname: name,
        restart: "unless-stopped",
        mem_limit: "64m",
        read_only: true,
        cap_drop: ["ALL"],
      });
    }
    expect(dockerfile).toMatch(/^USER node$/m);
    expect(dockerfile).toMatch(/^HEALTHCHECK .*CMD \["myco", "health"\]$/m);
  });

  it("copies what is there, and lets nothing else into the build", () => {
    const sources = [...dockerfile.matchAll(/^COPY (\S+) /gm)].map(([, path]) => path ?? "");
    const ignore = readFileSync(join(ROOT, ".dockerignore"), "utf8").split("\n");
    for (const source of sources) {
      expect(existsSync(join(ROOT, source)), source).toBe(true);
      const isLetIn = ignore.some(
        (line) => line.startsWith("!") && source.startsWith(line.slice(1)),
      );
      expect(isLetIn, source).toBe(true);
    }
  });

  it("has a configuration the daemon takes", () => {
    const text = readFileSync(join(ROOT, "images/simulation/config.yaml"), "utf8");
    expect(parseConfiguration(text, "config.yaml").flow).toMatchObject({
      enabled: true,
      mode: "dummy",
    });
  });
});

describe("the package's configuration", () => {
  it("is one the daemon takes: a router alone, with its settings from UCI", () => {
    const path = "openwrt/feeds/mycoflow/mycoflow/files/config.yaml";
    expect(parseConfiguration(readFileSync(join(ROOT, path), "utf8"), path)).toMatchObject({
      mesh: { enabled: false },
      uci: "/etc/config/mycoflow",
      socket: "/var/run/myco/myco.sock",
    });
  });
});
