// What systemd says of the unit that the module's evaluation yields.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

export interface UnitVerdict {
  /** Empty when systemd takes every line; a misspelled key is told here, and nowhere else. */
  readonly complaints: string;
  /** systemd's exposure level, 0 (best) to 10. */
  readonly exposure: number;
}

export async function hasSystemdAnalyze(): Promise<boolean> {
  const { failed } = await execa("systemd-analyze", ["--version"], { reject: false });
  return !failed;
}

/** Directives that a systemd before 254 does not know, which NixOS has left behind. */
const OF_SYSTEMD_254 = /^Restart(?:Steps|MaxDelaySec)=.*\n/gm;

async function systemdVersion(): Promise<number> {
  const { stdout } = await execa("systemd-analyze", ["--version"]);
  return Number(/^systemd (\d+)/.exec(stdout)?.[1]);
}

/** @param text of a unit whose programs are in a store that is not there */
export async function judgeUnit(text: string): Promise<UnitVerdict> {
  const folder = mkdtempSync(join(tmpdir(), "myco-unit-"));
  const file = join(folder, "myco.service");
  const known = (await systemdVersion()) < 254 ? text.replaceAll(OF_SYSTEMD_254, "") : text;
  writeFileSync(file, known.replaceAll(/\/nix\/store\/[^/\s"]+\/bin\/\w+(?= )/g, "/bin/true"));
  try {
    const verified = await execa("systemd-analyze", ["verify", "--man=no", file], {
      reject: false,
    });
    const security = await execa("systemd-analyze", ["security", "--offline=true", file], {
      reject: false,
    });
    const level = /Overall exposure level for myco.service: ([0-9.]+)/.exec(security.stdout)?.[1];
    if (level === undefined) throw new Error(`no exposure level: ${security.stderr}`);
    return { complaints: verified.stderr, exposure: Number(level) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
