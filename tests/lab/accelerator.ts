// Whether guests run on the processor itself (KVM) or are emulated (TCG). A KVM device may be there
// and guests still die in it, so that only a guest that booted counts.

import { accessSync, constants, readFileSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { cacheFolder } from "./guest-image.ts";

export type Accelerator = "kvm" | "tcg";

const KVM_DEVICE = "/dev/kvm";

/** What a verdict holds for. */
function machineKey(): string {
  return `${release()} ${cpus()[0]?.model ?? "unknown"}`;
}

/**
 * The accelerator to use here, from an earlier verdict or by trying.
 * @param bootsInKvm starts a guest with KVM and tells whether it came up
 */
export async function chooseAccelerator(bootsInKvm: () => Promise<boolean>): Promise<Accelerator> {
  if (!hasDevice()) return "tcg";
  const file = join(cacheFolder(), "accelerator.json");
  const known = readVerdict(file);
  if (known !== null) return known;
  const accelerator = (await bootsInKvm()) ? "kvm" : "tcg";
  writeFileSync(file, JSON.stringify({ machine: machineKey(), accelerator }));
  return accelerator;
}

function hasDevice(): boolean {
  try {
    accessSync(KVM_DEVICE, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function readVerdict(file: string): Accelerator | null {
  try {
    const { machine, accelerator } = JSON.parse(readFileSync(file, "utf8"));
    if (machine !== machineKey()) return null;
    return accelerator === "kvm" || accelerator === "tcg" ? accelerator : null;
  } catch {
    return null;
  }
}
