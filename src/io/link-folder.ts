// A folder of symbolic links, such as the roots that keep store paths from the nix collector.

import { existsSync, mkdirSync, readdirSync, readlinkSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ROOT_LINKS_MAX } from "../kernel/limits.ts";
import type { LinkFolder, SymbolicLink } from "../kernel/system-ports.ts";

export class RealLinkFolder implements LinkFolder {
  readonly path: string;

  /** Makes the folder where missing, for its owner only. */
  constructor(path: string) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    this.path = path;
  }

  list(): readonly SymbolicLink[] {
    return readdirSync(this.path, { withFileTypes: true })
      .filter((entry) => entry.isSymbolicLink())
      .map((entry) => entry.name)
      .sort()
      .slice(0, ROOT_LINKS_MAX)
      .map((name) => this.#read(name));
  }

  remove(name: string): void {
    rmSync(join(this.path, name), { force: true });
  }

  #read(name: string): SymbolicLink {
    const path = join(this.path, name);
    return { name, target: readlinkSync(path), targetExists: existsSync(path) };
  }
}
