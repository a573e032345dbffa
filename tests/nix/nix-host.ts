// Nix on the host: installed with apt where that is possible, and run without network or /nix.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

const SETTINGS = [
  "experimental-features = nix-command flakes",
  "substituters =",
  "build-users-group =",
  "download-attempts = 1",
  "connect-timeout = 5",
].join("\n");

export interface NixResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** @returns null when nix is there now, else why it is not */
export async function ensureNix(): Promise<string | null> {
  if (await isThere()) return null;
  if (process.getuid?.() !== 0) return "nix is not installed, and only root can install it";
  const options = { reject: false, env: { DEBIAN_FRONTEND: "noninteractive" } } as const;
  await execa("apt-get", ["update", "-qq"], options);
  await execa("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "nix-bin"], options);
  return (await isThere()) ? null : "nix is not installed, and apt cannot install nix-bin here";
}

async function isThere(): Promise<boolean> {
  const { failed } = await execa("nix", ["--version"], { reject: false });
  return !failed;
}

/** A store and a home of one suite's own; /nix is not touched. */
export class NixHost {
  readonly folder = mkdtempSync(join(tmpdir(), "myco-nix-"));

  async run(args: readonly string[], cwd: string): Promise<NixResult> {
    const result = await execa("nix", [...args, "--store", join(this.folder, "store")], {
      cwd,
      reject: false,
      env: { NIX_CONFIG: SETTINGS, HOME: this.folder, NO_COLOR: "1" },
    });
    const { exitCode = 1, stdout, stderr } = result;
    return { exitCode, stdout, stderr };
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
