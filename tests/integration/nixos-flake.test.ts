// The flake, its lock and the NixOS module, as far as evaluation goes: with real nix, without
// network, against the stand-in for nixpkgs in tests/nix/stub.

import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseConfiguration } from "../../src/schema/configuration.ts";
import { type EvaluatedSystem, FlakeCopy } from "../nix/flake-copy.ts";
import { ensureNix, NixHost } from "../nix/nix-host.ts";
import { hasSystemdAnalyze, judgeUnit } from "../nix/unit-verdict.ts";
import { skipBecause } from "../skip-without.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BUNDLE = `${ROOT}dist/myco.mjs`;
const SERVER_EXPOSURE_MAX = 2.7;
const ROUTER_EXPOSURE_MAX = 3.6;
const CACHE_KEY = `cache.example.org-1:${"A".repeat(43)}=`;

let whyNot: string | null = null;
let nix: NixHost;
let flake: FlakeCopy;
let systems: Readonly<Record<"server" | "router", EvaluatedSystem>>;
let mutants = 0;

beforeAll(async () => {
  whyNot = await ensureNix();
  nix = new NixHost();
  flake = new FlakeCopy(nix, "flake");
  if (whyNot === null) systems = await flake.systems();
});

skipBecause(() => whyNot);

afterAll(() => nix.close());

/** A copy of the flake with one edit. */
function mutant(path: string, found: string, replacement: string): FlakeCopy {
  mutants += 1;
  const copy = new FlakeCopy(nix, `mutant-${mutants}`);
  copy.edit(path, found, replacement);
  return copy;
}

/** What nix says of a copy: of all that `nix flake check` looks at, then of the systems and images. */
async function complaint(copy: FlakeCopy): Promise<string> {
  const { exitCode, stderr } = await copy.check();
  if (exitCode !== 0) return stderr;
  try {
    await copy.systems();
    await copy.evaluate("legacyPackages", OPENWRT_IMAGES);
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

/** Directives whose value names programs, files or a systemd of NixOS's own. */
const WORDED_FOR_NIXOS = [
  ...["ExecStart", "ExecReload", "Environment", "ConditionPathExists", "WantedBy"],
  ...["RestartSec", "RestartSteps", "RestartMaxDelaySec"],
];

/** A unit's directives; a switch is true or false. */
function directivesOf(unit: string): Map<string, string> {
  const lines = unit.split("\n").flatMap((line) => {
    const [, key, value = ""] = /^(\w+)=(.*)$/.exec(line) ?? [];
    return key === undefined ? [] : [[key, value.replace(/^yes$/, "true")] as const];
  });
  return new Map(lines);
}

/** Paths below services.myco. */
const OPTION_NAMES = `system:
  let
    namesIn = path: options: builtins.concatMap (name:
      let option = options.\${name}; own = path ++ [ name ];
      in if option ? _type then [ (builtins.concatStringsSep "." own) ] else namesIn own option
    ) (builtins.attrNames options);
  in namesIn [ ] system.options.services.myco`;

const GROUPS_WITH_ONE_ROW = /^(settings|flow\.download|flow\.upload)\..*/;

const OPENWRT_IMAGES = "p: builtins.mapAttrs (_: image: image.drvPath) p.x86_64-linux.openwrt";

describe("flake.lock", () => {
  it("names every input at a commit, and nix would change nothing in it", async () => {
    const metadata = await flake.nix(["flake", "metadata", "--json", "path:."]);
    const { nodes } = JSON.parse(metadata.stdout).locks;
    expect(Object.keys(nodes).sort()).toEqual(["nixpkgs", "openwrt-imagebuilder", "root"]);
    const before = flake.read("flake.lock");
    const locked = await flake.nix(["flake", "lock", "--no-update-lock-file", "path:."]);
    expect(locked).toMatchObject({ exitCode: 0 });
    expect(flake.read("flake.lock")).toBe(before);
  });

  it.each([
    ["an input has moved", "nixos-26.05", "nixos-25.11"],
    ["an input is new", "  outputs =", '  inputs.more.url = "github:NixOS/patchelf";\n  outputs ='],
  ])("is refused when %s", async (_, found, replacement) => {
    const copy = mutant("flake.nix", found, replacement);
    const locked = await copy.nix(["flake", "lock", "--no-update-lock-file", "path:."]);
    expect(locked.exitCode).not.toBe(0);
    expect(locked.stderr).toMatch(/requires lock file changes|unable to download/);
  });
});

describe("the flake's outputs", () => {
  it("evaluate, every one", async () => {
    const { exitCode, stderr } = await flake.check();
    expect(stderr).not.toMatch(/^error/m);
    expect(exitCode).toBe(0);
    const names = await flake.evaluate("checks", "builtins.mapAttrs (_: builtins.attrNames)");
    const checks = [
      ...["module-router", "module-server", "package", "unit-router", "unit-server"],
      ...["vm-cake", "vm-dns", "vm-gossip", "vm-systemd", "vm-upgrade"],
    ];
    expect(JSON.parse(names)).toEqual({ "aarch64-linux": checks, "x86_64-linux": checks });
  });

  it("are on both architectures", async () => {
    for (const output of ["packages", "devShells", "formatter", "apps"]) {
      const found = JSON.parse(await flake.evaluate(output, "builtins.attrNames"));
      expect(found, output).toEqual(["aarch64-linux", "x86_64-linux"]);
    }
  });

  it("have images of both systems, and OpenWrt's for three devices", async () => {
    for (const { toplevel, images } of Object.values(systems)) {
      expect(toplevel).toMatch(/^\/nix\/store\//);
      expect(Object.keys(images)).toEqual(expect.arrayContaining(["qemu", "raw-efi"]));
    }
    const openwrt = JSON.parse(await flake.evaluate("legacyPackages", OPENWRT_IMAGES));
    expect(Object.keys(openwrt)).toEqual(["raspberry-pi-4", "x86-64", "xiaomi-ax3000t"]);
  });
});

describe("the NixOS module", () => {
  it("writes a configuration that the daemon takes", () => {
    const { server, router } = systems;
    const read = ({ settings }: EvaluatedSystem) =>
      parseConfiguration(JSON.stringify(settings), "config.yaml");
    expect(read(server)).toMatchObject({ engine: { kind: "systemd" }, flow: { enabled: false } });
    expect(read(router)).toMatchObject({
      dns: { listen: "127.0.0.1:5300" },
      flow: { enabled: true, egressIface: "wan0", upload: { maxKbit: 40_000 } },
    });
    expect(server.etc).toContain("myco/config.yaml");
  });

  it("has every option in docs/nixos.md, and none that is not there", async () => {
    const options: string[] = JSON.parse(
      await flake.evaluate("nixosConfigurations.server", OPTION_NAMES),
    );
    const page = readFileSync(`${ROOT}docs/nixos.md`, "utf8");
    const [, table = ""] = /^## Options\n([^#]*)/m.exec(page) ?? [];
    const named = [...table.matchAll(/^\| (`.*?`) \|/gm)].flatMap(([, cell]) =>
      [...cell!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!),
    );
    const rows = options.map((name) => name.replace(GROUPS_WITH_ONE_ROW, "$1"));
    expect(named.sort()).toEqual([...new Set(rows)].sort());
  });

  it("says how the machine is invited, opens its ports, and routes its names", () => {
    const { server, router } = systems;
    expect(server.invite).toBe(
      "'myco' 'cluster' 'invite' '--zone' '0' '--roles' 'member,deployer'",
    );
    expect(server.udpPorts).toEqual([7946, 7946]);
    expect(server.delegates).toEqual({
      myco: { Delegate: { DNS: "127.0.0.1:53", DefaultRoute: false, Domains: "~myco" } },
    });
    expect(router.delegates).toEqual({});
  });

  it("gives network capabilities to a machine with a line, and to no other", () => {
    expect(systems.server.unit).toMatch(/^CapabilityBoundingSet=CAP_NET_BIND_SERVICE$/m);
    expect(systems.router.unit).toMatch(/^CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_RAW /m);
    for (const { unit } of Object.values(systems)) expect(unit).toMatch(/^MemoryMax=64M$/m);
  });

  it("makes a unit that systemd takes without a word, and that exposes little", async ({
    task,
    skip,
  }) => {
    if (!(await hasSystemdAnalyze())) {
      task.meta.skipReason = "there is no systemd-analyze";
      skip(task.meta.skipReason);
    }
    const server = await judgeUnit(systems.server.unit);
    expect(server.complaints).toBe("");
    expect(server.exposure).toBeLessThanOrEqual(SERVER_EXPOSURE_MAX);
    const router = await judgeUnit(systems.router.unit);
    expect(router.complaints).toBe("");
    expect(router.exposure).toBeLessThanOrEqual(ROUTER_EXPOSURE_MAX);
  });

  it("confines a router's daemon as Debian's unit does", () => {
    const debian = directivesOf(readFileSync(`${ROOT}modules/systemd/myco.service`, "utf8"));
    const nixos = directivesOf(systems.router.unit);
    for (const key of WORDED_FOR_NIXOS) {
      debian.delete(key);
      nixos.delete(key);
    }
    expect(Object.fromEntries(nixos)).toEqual(Object.fromEntries(debian));
  });

  it("has nix fetch from the caches that are named, beside its own", async () => {
    const copy = mutant(
      "images/nixos-server.nix",
      "mesh.openFirewall",
      `nix.caches."https://cache.example.org" = "${CACHE_KEY}";\n    mesh.openFirewall`,
    );
    const read = "s: s.config.nix.settings";
    const settings = JSON.parse(await copy.evaluate("nixosConfigurations.server", read));
    expect(settings).toEqual({
      "extra-substituters": ["https://cache.example.org"],
      "extra-trusted-public-keys": [CACHE_KEY],
    });
    expect(JSON.parse(await flake.evaluate("nixosConfigurations.server", read))).toEqual({});
  });

  it("joins by an invitation and a key that are files, once", async () => {
    const folder = mkdtempSync(join(tmpdir(), "myco-join-"));
    const dataDir = join(folder, "state");
    const copy = mutant(
      "images/nixos-server.nix",
      "mesh.openFirewall",
      `settings.dataDir = "${dataDir}";
      mesh.invitationFile = "/run/secrets/invitation";
      mesh.keyFile = "/run/secrets/key";
      mesh.openFirewall`,
    );
    const { server } = await copy.systems();
    expect(server.unit).toMatch(/^LoadCredential=invitationFile:\/run\/secrets\/invitation$/m);
    expect(server.unit).toMatch(/^LoadCredential=keyFile:\/run\/secrets\/key$/m);
    expect(server.unit).not.toMatch(/ConditionPathExists/);
    const script = JSON.parse(
      await copy.evaluate(
        "nixosConfigurations.server",
        "s: s.config.systemd.services.myco.preStart",
      ),
    ) as string;

    const configuration = join(folder, "config.yaml");
    writeFileSync(configuration, JSON.stringify(server.settings));
    const env = { MYCO_CONFIG: configuration, CREDENTIALS_DIRECTORY: join(folder, "credentials") };
    const myco = async (...words: string[]) =>
      (await execa(process.execPath, [BUNDLE, "cluster", ...words], { env })).stdout;
    const rootKey = ["--root-key", join(folder, "root.key")];
    await myco("init", "--data-dir", join(folder, "first"), ...rootKey);
    const publicKey = await myco("join", "--request", "--data-dir", join(folder, "elsewhere"));
    const peer = ["--peer", "192.0.2.1:7946"];
    const invitation = await myco("invite", ...rootKey, ...peer, "--public-key", publicKey);
    mkdirSync(env.CREDENTIALS_DIRECTORY);
    mkdirSync(dataDir);
    writeFileSync(join(env.CREDENTIALS_DIRECTORY, "invitationFile"), `${invitation}\n`);
    copyFileSync(join(folder, "elsewhere", "node.key"), join(env.CREDENTIALS_DIRECTORY, "keyFile"));
    const preStart = script.replaceAll(
      /\/nix\/store\/\S+\/bin\/myco/g,
      `${process.execPath} ${BUNDLE}`,
    );
    const joined = await execa("sh", ["-e", "-c", preStart], { env });
    expect(joined.stdout).toMatch(/this machine is the node/);
    expect(readdirSync(dataDir).sort()).toEqual(["node.cert", "node.key", "root.pub", "seeds"]);
    expect(statSync(join(dataDir, "node.key")).mode & 0o777).toBe(0o600);
    expect((await execa("sh", ["-e", "-c", preStart], { env })).stdout).toBe("");
    rmSync(folder, { recursive: true });
  });

  it("does not get past systemd with a misspelled key", async ({ task, skip }) => {
    if (!(await hasSystemdAnalyze())) {
      task.meta.skipReason = "there is no systemd-analyze";
      skip(task.meta.skipReason);
    }
    const copy = mutant("modules/nixos/service.nix", "WatchdogSec =", "WatchdogSecs =");
    const { server } = await copy.systems();
    const { complaints } = await judgeUnit(server.unit);
    expect(complaints).toMatch(/Unknown key.*WatchdogSecs/);
  });
});

describe("evaluation finds", () => {
  const server = "images/nixos-server.nix";
  const router = "images/nixos-router.nix";
  const enable = "enable = true;\n    mesh";

  it.each([
    [
      "an option that is not there",
      server,
      "openFirewall",
      "openFirewal",
      /mesh\.openFirewal' does not exist/,
    ],
    [
      "a setting that is not there",
      router,
      "dns.listen",
      "dns.lisen",
      /settings\.dns\.lisen' does not exist/,
    ],
    [
      "an option of NixOS that is not there",
      router,
      "externalInterface",
      "outerInterface",
      /nat\.outerInterface' does not exist/,
    ],
    [
      "a value of another type",
      server,
      "openFirewall = true",
      'openFirewall = "yes"',
      /openFirewall' is not of type `boolean'.*"yes"/,
    ],
    [
      "a word that is none of those allowed",
      router,
      'interface = "wan0";\n      download',
      'mode = "fast";\n      download',
      /flow\.mode' is not of type `one of "active".*"fast"/,
    ],
    [
      "a rate that is a text",
      router,
      "base = 50000",
      'base = "50M"',
      /download\.base' is not of type `positive integer.*"50M"/,
    ],
    [
      "a setting out of its bounds",
      server,
      enable,
      "settings.dns.ttlSeconds = 9999;\n    enable = true;\n    mesh",
      /ttlSeconds' is not of type `integer between 0 and 3600/,
    ],
    [
      "an interface that is no text",
      router,
      'interface = "wan0";\n      download',
      "interface = 5;\n      download",
      /flow\.interface' is not of type `null or string'.*: 5/,
    ],
    [
      "rates in the wrong order",
      router,
      "base = 50000",
      "base = 500000",
      /flow\.download: min 5000, base 500000 and max 100000/,
    ],
    [
      "both planes off",
      server,
      enable,
      "mesh.enable = false;\n    enable = true;\n    mesh",
      /both planes are off/,
    ],
    [
      "a secret that would be in the store",
      server,
      enable,
      `mesh.invitationFile = "\${./nixos-base.nix}";\n    enable = true;\n    mesh`,
      /invitationFile is ".*outside of the store/,
    ],
    [
      "a key without an invitation",
      server,
      enable,
      'mesh.keyFile = "/run/key";\n    enable = true;\n    mesh',
      /keyFile is of use with an invitation only/,
    ],
    [
      "a cache whose key is none",
      server,
      enable,
      'nix.caches."https://cache.example.org" = "no-key";\n    enable = true;\n    mesh',
      /nix\.caches\.https:\/\/cache\.example\.org' is not of type `string matching.*"no-key"/,
    ],
    [
      "a cache for a machine that builds nothing",
      server,
      enable,
      `nix.builder = false;
    nix.caches."https://cache.example.org" = "${CACHE_KEY}";
    enable = true;\n    mesh`,
      /nix\.caches is of use to a machine that builds/,
    ],
    [
      "two servers of names at one port",
      router,
      '127.0.0.1:5300";\n',
      '127.0.0.1:53";\n',
      /dnsmasq answers at port 53 too/,
    ],
    [
      "a firewall that cannot be opened",
      server,
      enable,
      'settings.listen = [ "0.0.0.0:0" ];\n    enable = true;\n    mesh',
      /openFirewall cannot open a port/,
    ],
    [
      "a package that is not there",
      "package.nix",
      "  tcpdump,\n",
      "  tcpdump,\n  tcpdumpp,\n",
      /asks for `tcpdumpp'/,
    ],
    [
      "a program of the shell that is not there",
      "flake.nix",
      "shellcheck",
      "shelcheck",
      /undefined variable 'shelcheck'/,
    ],
    [
      "an argument of the builder that is not there",
      "package.nix",
      "installCheckPhase =",
      "instalCheckPhase =",
      /no argument `instalCheckPhase'/,
    ],
    [
      "a source that is not there",
      "package.nix",
      "./scripts",
      "./script",
      /fileset: the path .*\/script does not exist/,
    ],
    [
      "a locked package without its hash",
      "package-lock.json",
      '"integrity"',
      '"integrty"',
      /importNpmLock: node_modules\/\S+ has no/,
    ],
    [
      "a mistake in a machine of a VM test",
      "tests/nixos-vm/three-nodes.nix",
      "services.myco",
      "services.mycoo",
      /services\.mycoo' does not exist/,
    ],
    [
      "an argument of a VM test that is not there",
      "tests/nixos-vm/dns.nix",
      "testScript",
      "testScrip",
      /testScrip' does not exist/,
    ],
    [
      "an image's variant that is not there",
      "images/nixos-base.nix",
      "raw-efi",
      "raw-effi",
      /no variant `raw-effi'/,
    ],
    [
      "a router the image builder does not know",
      "images/openwrt.nix",
      "mi-router-ax3000t",
      "mi-router-ax300t",
      /knows no mediatek\/filogic\/xiaomi_mi-router-ax300t/,
    ],
    [
      "a module's argument that nobody gives",
      "modules/nixos/default.nix",
      "  pkgs,\n  ...",
      "  pkgs,\n  packages,\n  ...",
      /asks for the argument `packages'/,
    ],
  ])("%s", async (_, path, found, replacement, message) => {
    expect(await complaint(mutant(path, found, replacement))).toMatch(message);
  });
});

describe("package.nix", () => {
  it("starts the daemon as the bundle's first line does", async () => {
    const { SHEBANG } = await import(new URL("../../scripts/build.mjs", import.meta.url).href);
    const words = SHEBANG.split(" ").slice(2);
    const text = await flake.evaluate("packages.x86_64-linux.myco", "p: p.arguments.installPhase");
    const install = JSON.parse(text) as string;
    for (const word of words.filter((word: string) => word.startsWith("--"))) {
      expect(install).toContain(word);
    }
    for (const word of words.filter((word: string) => word.includes("_"))) {
      expect(install).toContain(`--set ${word.replace("=", " ")}`);
    }
  });

  it("finds an address and a hash for all that is locked", () => {
    const { packages } = JSON.parse(readFileSync(`${ROOT}package-lock.json`, "utf8"));
    const { "": _, ...entries } = packages as Record<string, Record<string, unknown>>;
    expect(Object.keys(entries).length).toBeGreaterThan(100);
    for (const [name, { resolved, integrity }] of Object.entries(entries)) {
      expect(resolved, name).toMatch(/^https:\/\/registry\.npmjs\.org\//);
      expect(integrity, name).toMatch(/^sha512-/);
    }
  });
});

describe("the VM tests' scripts", () => {
  const folder = `${ROOT}tests/nixos-vm/`;
  const scripts = readdirSync(folder).filter((name) => name.endsWith(".py"));

  it.each(scripts)("%s is Python", async (name) => {
    const compile = "import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])";
    const { stderr, exitCode } = await execa("python3", ["-c", compile, `${folder}${name}`], {
      reject: false,
    });
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
  });
});
