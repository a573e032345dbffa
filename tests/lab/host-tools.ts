// The programs the lab runs on the host. What is missing is installed with apt where that is
// possible, and named where it is not.

import { accessSync, constants, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { execa } from "execa";
import { HostLacksError } from "./errors.ts";

/** Each program with the Debian package that has it. */
export const HOST_TOOLS: Readonly<Record<string, string>> = {
  "qemu-system-x86_64": "qemu-system-x86",
  "qemu-img": "qemu-utils",
  mmdebstrap: "mmdebstrap",
  mke2fs: "e2fsprogs",
  setpriv: "util-linux",
  taskset: "util-linux",
  tar: "tar",
};

const DEBIAN_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Where system programs live even when the caller's PATH leaves them out. */
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

export function hostPath(): string {
  return [process.env.PATH ?? "", ...SYSTEM_FOLDERS].join(delimiter);
}

function isRunnable(program: string): boolean {
  return hostPath()
    .split(delimiter)
    .some((folder) => folder !== "" && canAccess(join(folder, program), constants.X_OK));
}

function canAccess(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

/** The packages whose programs are not there. */
function missingPackages(): string[] {
  const packages = Object.entries(HOST_TOOLS)
    .filter(([program]) => !isRunnable(program))
    .map(([, debianPackage]) => debianPackage);
  if (!canAccess(DEBIAN_KEYS, constants.R_OK)) packages.push("debian-archive-keyring");
  return [...new Set(packages)];
}

/**
 * Makes sure that every program is there.
 * @throws HostLacksError naming what is missing and how to get it
 */
export async function ensureHostTools(say: (line: string) => void): Promise<void> {
  if (process.platform !== "linux" || process.arch !== "x64") {
    throw new HostLacksError(
      ["Linux on x86-64"],
      `This is ${process.platform} on ${process.arch}.`,
    );
  }
  const packages = missingPackages();
  if (packages.length === 0) return;
  const byHand = `Install by hand: apt-get install ${packages.join(" ")}`;
  if (process.getuid?.() !== 0) {
    throw new HostLacksError(packages, `Only root can install packages. ${byHand}`);
  }
  if (!isRunnable("apt-get")) {
    throw new HostLacksError(packages, `There is no apt-get on ${distribution()}. ${byHand}`);
  }
  say(`installing with apt: ${packages.join(" ")}`);
  const problem = await aptInstall(packages);
  const left = missingPackages();
  if (left.length > 0) throw new HostLacksError(left, `apt-get failed: ${problem}\n${byHand}`);
}

/** @returns apt's last words */
async function aptInstall(packages: readonly string[]): Promise<string> {
  const options = {
    reject: false,
    all: true,
    env: { DEBIAN_FRONTEND: "noninteractive", PATH: hostPath() },
  } as const;
  await execa("apt-get", ["update", "-qq"], options);
  const result = await execa(
    "apt-get",
    ["install", "-y", "-qq", "--no-install-recommends", ...packages],
    options,
  );
  return (result.all ?? "").split("\n").slice(-5).join("\n");
}

function distribution(): string {
  try {
    const release = readFileSync("/etc/os-release", "utf8");
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(release)?.[1] ?? "this system";
  } catch {
    return "this system";
  }
}
