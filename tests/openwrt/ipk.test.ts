// The packages: what is in them, to the mode of each file, and that building twice gives the same
// bytes.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildIpk, FEED_PACKAGES, feedPackage } from "../../scripts/build-ipk.mjs";
import { readFeedPackage } from "../../scripts/openwrt-package.mjs";
import { DAEMON_ENVIRONMENT, DAEMON_NODE_FLAGS } from "../../src/daemon/runtime-flags.ts";
import { VERSION } from "../../src/kernel/version.ts";

/** Path, then mode as tar writes it. */
const CONTENTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  mycoflow: {
    "./etc/capabilities/mycoflow.json": "-rw-r--r--",
    "./etc/config/mycoflow": "-rw-------",
    "./etc/hotplug.d/iface/12-mycoflow": "-rw-r--r--",
    "./etc/init.d/mycoflow": "-rwxr-xr-x",
    "./etc/myco/config.yaml": "-rw-r--r--",
    "./etc/mycoflow/catalog.d/README": "-rw-r--r--",
    "./etc/uci-defaults/80-mycoflow": "-rwxr-xr-x",
    "./lib/upgrade/keep.d/mycoflow": "-rw-r--r--",
    "./usr/bin/myco": "-rwxr-xr-x",
    "./usr/lib/myco/line.sh": "-rw-r--r--",
    "./usr/lib/myco/myco.mjs": "-rw-r--r--",
    "./usr/lib/myco/start": "-rwxr-xr-x",
    "./usr/share/acl.d/mycoflow.json": "-rw-r--r--",
    "./usr/share/rpcd/acl.d/mycoflow.json": "-rw-r--r--",
  },
  "luci-app-mycoflow": {
    "./usr/share/luci/menu.d/luci-app-mycoflow.json": "-rw-r--r--",
    "./usr/share/rpcd/acl.d/luci-app-mycoflow.json": "-rw-r--r--",
    "./www/luci-static/resources/view/mycoflow/settings.js": "-rw-r--r--",
    "./www/luci-static/resources/view/mycoflow/status.js": "-rw-r--r--",
  },
};
const PACKED_BYTES_MAX: Readonly<Record<string, number>> = {
  mycoflow: 768 * 1024,
  "luci-app-mycoflow": 32 * 1024,
};

describe.each(FEED_PACKAGES)("the package %s", (name) => {
  const folder = mkdtempSync(join(tmpdir(), "myco-ipk-test-"));
  let ipk = "";
  beforeAll(() => {
    ipk = buildIpk(name, join(folder, "first"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const member = (archive: string): string => {
    const path = join(folder, archive);
    writeFileSync(
      path,
      execFileSync("tar", ["-xzOf", ipk, `./${archive}`], { maxBuffer: 2 ** 26 }),
    );
    return path;
  };
  /** Lines of `tar -t --verbose`, in words. */
  const list = (archive: string): string[][] =>
    execFileSync("tar", ["--numeric-owner", "-tvzf", archive], { encoding: "utf8" })
      .trim()
      .split("\n")
      .map((line) => line.split(/\s+/));

  it("is a gzipped tar of the three members opkg reads", () => {
    expect(list(ipk).map((words) => words.at(-1))).toEqual([
      "./debian-binary",
      "./data.tar.gz",
      "./control.tar.gz",
    ]);
    expect(readFileSync(member("debian-binary"), "utf8")).toBe("2.0\n");
  });

  it("holds these files and no others, root's, with these modes", () => {
    const entries = list(member("data.tar.gz"));
    const files = entries.filter(([mode = ""]) => !mode.startsWith("d"));
    expect(Object.fromEntries(files.map((words) => [words.at(-1), words[0]]))).toEqual(
      CONTENTS[name],
    );
    for (const [mode = "", owner] of entries) {
      expect(owner).toBe("0/0");
      if (mode.startsWith("d")) expect(mode).toBe("drwxr-xr-x");
    }
  });

  it("is the same to the byte when it is built again", () => {
    const hash = (path: string): string =>
      createHash("sha256").update(readFileSync(path)).digest("hex");
    expect(hash(buildIpk(name, join(folder, "second")))).toBe(hash(ipk));
  });

  it("stays small", () => {
    expect(readFileSync(ipk).length).toBeLessThan(PACKED_BYTES_MAX[name] ?? 0);
  });

  it("has the project's version, and control fields opkg knows", () => {
    expect(ipk.endsWith(`/${name}_${VERSION}-r1_all.ipk`)).toBe(true);
    const control = execFileSync("tar", ["-xzOf", member("control.tar.gz"), "./control"], {
      encoding: "utf8",
    });
    expect(control).toContain(`Package: ${name}\nVersion: ${VERSION}-r1\n`);
    expect(control).toContain("Architecture: all\n");
    for (const line of control.trimEnd().split("\n")) expect(line).toMatch(/^([A-Z][\w-]+: |\s)\S/);
  });

  it("runs base-files' own steps when it is installed and removed", () => {
    for (const [script, step] of [
      ["./postinst", "default_postinst"],
      ["./prerm", "default_prerm"],
    ] as const) {
      const root = join(folder, "root");
      execFileSync("mkdir", ["-p", join(root, "lib")]);
      writeFileSync(join(root, "lib/functions.sh"), `${step}() { echo "ran $# words"; }\n`);
      const text = execFileSync("tar", ["-xzOf", member("control.tar.gz"), script]);
      const environment = { PATH: process.env.PATH ?? "", IPKG_INSTROOT: root };
      const run = (more: Readonly<Record<string, string>>): string =>
        execFileSync("sh", ["-s"], {
          input: text,
          encoding: "utf8",
          env: { ...environment, ...more },
        });
      expect(run({})).toBe("ran 1 words\n");
      expect(run({ IPKG_NO_SCRIPT: "1" })).toBe("");
    }
  });
});

describe("the package mycoflow", () => {
  const text = (file: string): string =>
    readFileSync(
      feedPackage("mycoflow").files.find(({ path }) => path === file)?.source ?? "",
      "utf8",
    );

  it("starts Node with the flags that fit the daemon's memory", () => {
    const wrapper = text("/usr/bin/myco").replaceAll("\\\n", " ");
    const words = wrapper.split(/\s+/);
    for (const flag of DAEMON_NODE_FLAGS) expect(words).toContain(flag);
    for (const [variable, value] of Object.entries(DAEMON_ENVIRONMENT)) {
      expect(words).toContain(`${variable}=${value}`);
    }
    expect(wrapper).toContain('/usr/lib/myco/myco.mjs "$@"');
  });

  it("keeps across an upgrade what a person may have changed", () => {
    const { conffiles, files } = feedPackage("mycoflow");
    expect(conffiles).toEqual(["/etc/config/mycoflow", "/etc/myco/config.yaml"]);
    const paths = files.map(({ path }) => path);
    expect(paths).toEqual(expect.arrayContaining([...conffiles]));
    expect(text("/lib/upgrade/keep.d/mycoflow")).toBe("/etc/mycoflow/\n");
  });

  it("asks for each program the daemon calls", () => {
    const { depends } = feedPackage("mycoflow");
    expect(depends).toEqual(
      expect.arrayContaining(["node", "tc-full", "ip-tiny", "nftables", "fping", "tcpdump-mini"]),
    );
  });

  it("lets nobody but root change anything over ubus", () => {
    const { group, access } = JSON.parse(text("/usr/share/acl.d/mycoflow.json"));
    expect(group).toBe("mycoflow");
    expect(Object.keys(access)).toEqual(["myco", "myco.persona", "myco.policy"]);
    const methods = Object.values<{ methods: string[] }>(access).flatMap(({ methods }) => methods);
    for (const method of ["reload", "add", "delete", "set", "boost", "throttle"]) {
      expect(methods).not.toContain(method);
    }
    expect(feedPackage("mycoflow").userId).toBe("mycoflow=28025:mycoflow=28025");
  });
});

describe("a feed's Makefile", () => {
  it("is refused where it says what this reader does not understand", () => {
    const folder = mkdtempSync(join(tmpdir(), "myco-feed-"));
    const makefile = join(folder, "Makefile");
    const begin = "PKG_NAME:=a\ndefine Package/a\nDEPENDS:=+b\nendef\ndefine Package/a/install\n";
    for (const line of [
      "$(CP) ./x $(1)/y",
      "$(INSTALL_BIN) ./x /y",
      "$(INSTALL_BIN) $(NO)/x $(1)/y",
    ]) {
      writeFileSync(makefile, `${begin}\t${line}\nendef\n`);
      expect(() => readFeedPackage(makefile)).toThrow("Makefile");
    }
    rmSync(folder, { recursive: true });
  });
});
