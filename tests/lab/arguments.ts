// The command line of `npm run lab`.

import { parseArgs } from "node:util";

export const HELP = `usage: npm run lab [-- [OPTIONS] [SCRIPT…]]
       npm run lab:shell [-- [OPTIONS] [SCRIPT]]

Boots Debian guests in QEMU and runs lab scripts in them: all of tests/lab/scripts, or those named,
by name ("flow-tins"), by the beginning of a name ("flow-*") or by file.

  --list               the scripts there are
  --shell              boots the machines of SCRIPT, or one machine, and opens a terminal in the
                       first; leaving it ends them
  --accelerator A      auto (default: KVM if a guest really boots in it, else emulation), kvm or tcg
  --keep               keeps the guests' disks and logs, and says where
  --verbose            shows every step of the driver
  --help               this

What a failed script leaves is put into .cache/lab-failures. The guest image lies in
$XDG_CACHE_HOME/myco-lab or ~/.cache/myco-lab; MYCO_LAB_MIRROR names the Debian mirror it is made
from.

Exit code: 0 all passed, 1 some failed, 2 the command was not understood, 69 this host lacks what the
lab needs, 130 interrupted.`;

export interface LabArguments {
  readonly action: "run" | "list" | "shell" | "help";
  readonly accelerator: "auto" | "kvm" | "tcg";
  readonly keep: boolean;
  readonly verbose: boolean;
  readonly scripts: readonly string[];
}

/** @returns what was asked for, or the sentence that says why it is not understood */
export function readArguments(args: readonly string[]): LabArguments | string {
  const parsed = parse(args);
  if (typeof parsed === "string") return parsed;
  const { values, positionals } = parsed;
  const accelerator = values.accelerator ?? "auto";
  if (accelerator !== "auto" && accelerator !== "kvm" && accelerator !== "tcg") {
    return `--accelerator is "${accelerator}"; it has to be auto, kvm or tcg.`;
  }
  if (values.shell && positionals.length > 1) return "--shell takes one script at most.";
  const action = values.help ? "help" : values.list ? "list" : values.shell ? "shell" : "run";
  const { keep = false, verbose = false } = values;
  return { action, accelerator, keep, verbose, scripts: positionals };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        list: { type: "boolean" },
        shell: { type: "boolean" },
        accelerator: { type: "string" },
        keep: { type: "boolean" },
        verbose: { type: "boolean" },
        help: { type: "boolean" },
      },
    });
  } catch (error) {
    return (error as Error).message;
  }
}
