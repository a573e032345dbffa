// What a failed tc, ip or nft means for the person who runs the router: which piece is missing, and
// which package brings it.

import type { RunResult } from "../ports.ts";

export interface SetUpFailure {
  /** Stable: NO_CAKE, NO_IFB, NO_CTINFO, NO_NFT, NOT_ROOT, NO_DEVICE, NO_PROGRAM, NOT_ENDED, COMMAND_FAILED. */
  readonly code: string;
  readonly message: string;
}

interface MissingPiece {
  readonly code: string;
  /** A word of the command that needs the piece. */
  readonly word: string;
  readonly complaint: RegExp;
  readonly what: string;
  readonly package: string;
}

const PIECES: readonly MissingPiece[] = [
  {
    code: "NO_CAKE",
    word: "cake",
    complaint: /qdisc kind is unknown|Unknown qdisc|No such file or directory/,
    what: "The kernel has no CAKE (sch_cake)",
    package: "kmod-sched-cake",
  },
  {
    code: "NO_IFB",
    word: "ifb",
    complaint: /Unknown device type|Operation not supported/,
    what: "The kernel has no IFB devices (ifb), on which downloads are shaped",
    package: "kmod-ifb",
  },
  {
    code: "NO_CTINFO",
    word: "ctinfo",
    complaint: /TC action module|Bad action type|action .*ctinfo|No such file or directory/i,
    what:
      "The kernel or tc has no ctinfo action (act_ctinfo), which gives downloads their tins: " +
      "they are shaped without tins",
    package: "kmod-sched-ctinfo",
  },
  {
    code: "NO_FILTER",
    word: "matchall",
    complaint: /classifier not found|TC action module|kind is unknown/i,
    what: "The kernel lacks the matchall filter or the mirred action, which lead downloads to their shaper",
    package: "kmod-sched-core",
  },
];

/**
 * Explains how `program` failed.
 * @param commands what it was told, one command a line
 */
export function explainSetUpFailure(
  program: string,
  commands: string,
  result: RunResult,
): SetUpFailure {
  const said = firstLine(result.stderr.trim() || result.stdout.trim()).slice(0, 200);
  const command = failedCommand(commands, result.stderr).slice(0, 300);
  const words = command.split(/\s/);
  const piece = PIECES.find(({ word, complaint }) => words.includes(word) && complaint.test(said));
  if (piece !== undefined) {
    return {
      code: piece.code,
      message: `${piece.what}. On OpenWrt install ${piece.package}; elsewhere the kernel's extra modules. tc said: ${said}`,
    };
  }
  if (/Operation not permitted|EPERM/.test(said)) {
    return {
      code: "NOT_ROOT",
      message: `${program} may not change the network. Run the daemon as root, or with CAP_NET_ADMIN.`,
    };
  }
  if (/Cannot find device|No such device|does not exist/i.test(said)) {
    return { code: "NO_DEVICE", message: `The interface is not there: ${said}` };
  }
  if (result.exitCode === null && said === "") {
    return {
      code: "NO_PROGRAM",
      message: `${program} could not be run, or did not end. Install ${PACKAGE_OF_PROGRAM[program] ?? program}.`,
    };
  }
  return {
    code: "COMMAND_FAILED",
    message: `"${program} ${command}" failed: ${said || "it said nothing"}`,
  };
}

const PACKAGE_OF_PROGRAM: Readonly<Record<string, string>> = {
  tc: "iproute2 (on OpenWrt: tc-tiny or tc-full)",
  ip: "iproute2 (on OpenWrt: ip-full)",
  nft: "nftables",
};

/** The one that the batch stopped at, or all of them where tc did not say (tc(8), -batch). */
function failedCommand(commands: string, complaint: string): string {
  const number = /^Command failed [^:]*:([0-9]{1,6})$/m.exec(complaint)?.[1];
  const line = number === undefined ? undefined : commands.split("\n")[Number(number) - 1];
  return line ?? commands.trim().replaceAll("\n", "; ");
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0]!;
}
