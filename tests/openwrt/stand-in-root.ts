// A root like a router's: the package's own files where they will be installed, stand-ins for what
// OpenWrt brings along, and busybox for everything else.

import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { feedPackage, stageFiles } from "../../scripts/build-ipk.mjs";
import { findProgram } from "../skip-without.ts";

const STAND_INS = fileURLToPath(new URL("stand-ins", import.meta.url));

/** Null: there is none on PATH, and nothing can be run. */
export const BUSYBOX: string | null = findProgram("busybox");

export interface Outcome {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** What was asked of OpenWrt, each call's words between bars. */
  readonly calls: readonly string[];
}

export class StandInRoot {
  readonly path = mkdtempSync(join(tmpdir(), "myco-openwrt-"));
  readonly #state = join(this.path, "state");

  constructor() {
    const { files } = feedPackage("mycoflow");
    // The bundle is not run here.
    stageFiles(
      files.filter(({ path }) => !path.endsWith(".mjs")),
      this.path,
    );
    cpSync(STAND_INS, this.path, { recursive: true });
    mkdirSync(this.#state);
    for (const applet of appletsOf(BUSYBOX)) {
      const link = join(this.path, "bin", applet);
      if (!existsSync(link)) symlinkSync(BUSYBOX ?? "", link);
    }
  }

  /** Nothing is set, nothing is up, nothing runs, and sqm is not installed. */
  reset(): void {
    this.setUci([]);
    this.setNetworks([]);
    this.setService({});
    for (const path of ["etc/init.d/sqm", "etc/config/sqm", "sys"]) {
      this.removeFile(path);
    }
  }

  remove(): void {
    rmSync(this.path, { recursive: true });
  }

  /** Everything that is set, as `package.section=type` and `package.section.option=value`. */
  setUci(lines: readonly string[]): void {
    writeFileSync(join(this.#state, "uci"), lines.map((line) => `${line}\n`).join(""));
  }

  uci(): string[] {
    return this.#lines("uci");
  }

  /** Networks that are up, as `wan NAME DEVICE` or `wan6 NAME DEVICE`. */
  setNetworks(lines: readonly string[]): void {
    writeFileSync(join(this.#state, "networks"), lines.map((line) => `${line}\n`).join(""));
  }

  /** Whether the service is enabled, and whether procd runs it. */
  setService(service: { readonly enabled?: boolean; readonly running?: boolean }): void {
    for (const name of ["enabled", "running"] as const) {
      if (service[name] === true) this.write(`state/${name}`, "");
      else rmSync(join(this.#state, name), { force: true });
    }
  }

  write(path: string, text: string, mode = 0o644): void {
    const target = join(this.path, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text, { mode });
  }

  removeFile(path: string): void {
    rmSync(join(this.path, path), { recursive: true, force: true });
  }

  /** Puts a script in a program's place. */
  replaceApplet(name: string, script: string): void {
    this.removeFile(`bin/${name}`);
    this.write(`bin/${name}`, script, 0o755);
  }

  restoreApplet(name: string): void {
    this.removeFile(`bin/${name}`);
    symlinkSync(BUSYBOX ?? "", join(this.path, "bin", name));
  }

  has(path: string): boolean {
    return existsSync(join(this.path, path));
  }

  read(path: string): string {
    return readFileSync(join(this.path, path), "utf8");
  }

  /** `/etc/init.d/mycoflow ACTION`. */
  init(action: string): Outcome {
    return this.run(["etc/rc.common", join(this.path, "etc/init.d/mycoflow"), action]);
  }

  /** Runs one of the root's scripts in busybox' shell. */
  run(
    [script = "", ...words]: readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): Outcome {
    rmSync(join(this.#state, "calls"), { force: true });
    const { status, stdout, stderr } = spawnSync(
      BUSYBOX ?? "",
      ["ash", join(this.path, script), ...words],
      {
        encoding: "utf8",
        env: {
          PATH: join(this.path, "bin"),
          IPKG_INSTROOT: this.path,
          STATE: this.#state,
          ...environment,
        },
      },
    );
    return { exitCode: status, stdout, stderr, calls: this.#lines("calls") };
  }

  #lines(name: string): string[] {
    const path = join(this.#state, name);
    return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean) : [];
  }
}

function appletsOf(busybox: string | null): string[] {
  if (busybox === null) return [];
  return execFileSync(busybox, ["--list"], { encoding: "utf8" }).split("\n").filter(Boolean);
}
