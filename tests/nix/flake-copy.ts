// What the flake evaluates, apart from the project: small enough to be copied for each mutation.

import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { NixHost, NixResult } from "./nix-host.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

const COPIED = [
  "LICENSE",
  "flake.lock",
  "flake.nix",
  "images",
  "modules",
  "package-lock.json",
  "package.json",
  "package.nix",
  "tests/nixos-vm",
];
/** Only their being there is looked at. */
const EMPTY_FOLDERS = ["demo", "openwrt", "scripts", "src"];

/** The stand-ins take the place of inputs that only the network has. */
const STAND_INS = [
  ...["--override-input", "nixpkgs", `path:${ROOT}tests/nix/stub`],
  ...["--override-input", "openwrt-imagebuilder", `path:${ROOT}tests/nix/stub-imagebuilder`],
];

/** Everything of the configurations that `nix flake check` does not look at. */
const SYSTEMS = `configurations: builtins.mapAttrs (_: { config, ... }: {
  toplevel = config.system.build.toplevel.drvPath;
  images = builtins.mapAttrs (_: image: image.drvPath) config.system.build.images;
  unit = config.systemd.units."myco.service".text;
  settings = config.services.myco.settings;
  invite = config.services.myco.mesh.inviteCommand;
  etc = builtins.attrNames config.environment.etc;
  delegates = config.services.resolved.dnsDelegates;
  udpPorts = config.networking.firewall.allowedUDPPorts;
}) configurations`;

export interface EvaluatedSystem {
  readonly toplevel: string;
  readonly images: Readonly<Record<string, string>>;
  readonly unit: string;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly invite: string;
  readonly etc: readonly string[];
  readonly delegates: Readonly<Record<string, unknown>>;
  readonly udpPorts: readonly number[];
}

export class FlakeCopy {
  readonly folder: string;
  readonly #nix: NixHost;

  /** @param name a folder's name, unlike that of any other copy */
  constructor(nix: NixHost, name: string) {
    this.#nix = nix;
    this.folder = join(nix.folder, name);
    for (const path of COPIED) {
      mkdirSync(dirname(join(this.folder, path)), { recursive: true });
      cpSync(join(ROOT, path), join(this.folder, path), { recursive: true });
    }
    for (const path of EMPTY_FOLDERS) mkdirSync(join(this.folder, path));
  }

  /** Replaces the only place where `found` stands. */
  edit(path: string, found: string, replacement: string): void {
    const file = join(this.folder, path);
    const parts = readFileSync(file, "utf8").split(found);
    if (parts.length < 2) throw new Error(`${path} does not say ${found}`);
    const [first, ...others] = parts;
    writeFileSync(file, `${first}${replacement}${others.join(found)}`);
  }

  read(path: string): string {
    return readFileSync(join(this.folder, path), "utf8");
  }

  /** Nix with the inputs that the lock names. */
  nix(args: readonly string[]): Promise<NixResult> {
    return this.#nix.run(args, this.folder);
  }

  /** `nix flake check` of everything it looks at, with the stand-ins. */
  check(): Promise<NixResult> {
    return this.#nix.run(["flake", "check", "--no-build", ...STAND_INS, "path:."], this.folder);
  }

  /** The configurations as far as the module made them. @throws with nix's own words */
  async systems(): Promise<Readonly<Record<"server" | "router", EvaluatedSystem>>> {
    return JSON.parse(await this.evaluate("nixosConfigurations", SYSTEMS));
  }

  /** An output after `apply`, as JSON. @throws with nix's own words */
  async evaluate(output: string, apply: string): Promise<string> {
    const args = ["eval", "--json", ...STAND_INS, `path:.#${output}`, "--apply", apply];
    const { exitCode, stdout, stderr } = await this.#nix.run(args, this.folder);
    if (exitCode !== 0) throw new Error(stderr);
    return stdout;
  }
}
