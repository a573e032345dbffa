// `myco audit`: what went live on this machine, from the daemon's audit log. It is read as a file:
// it must tell the truth when the daemon does not.

import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { deployedFacts } from "../../engine/audit-line.ts";
import { type AuditFileText, verifyAudit } from "../../engine/audit-verify.ts";
import { NodeCrypto } from "../../io/crypto.ts";
import { AUDIT_FILE_BYTES, AUDIT_FILES_MAX } from "../../kernel/limits.ts";
import { integerBetween } from "../arguments.ts";
import { CommandError } from "../command-error.ts";
import { EXIT } from "../exit-codes.ts";
import { auditLogOf, readTextFile } from "../locations.ts";
import type { AddCommand, Session } from "../session.ts";

interface AuditOptions {
  readonly file?: string;
  readonly json?: boolean;
  readonly lines: number;
}

const LINES_DEFAULT = 20;
const LINES_MAX = 10_000;
const NUMBER_SHOWN = 12;

export const addAuditCommands: AddCommand = (parent, session, run) => {
  const audit = parent
    .command("audit")
    .description("show what went live on this machine")
    .option("--file <path>", "the audit log (default: engine.auditLog of the configuration)")
    .option("-n, --lines <number>", "how many", integerBetween(0, LINES_MAX), LINES_DEFAULT)
    .option("--json", "print JSON")
    .addHelpText("after", "\nExamples:\n  $ myco audit\n  $ myco audit verify")
    .action(run((options: AuditOptions) => show(session, options)));
  audit
    .command("verify")
    .description("tell whether the audit log is as it was written (exit code 0) or not (1)")
    .action(run(() => verify(session, audit.opts<AuditOptions>())));
};

async function show(session: Session, options: AuditOptions): Promise<number> {
  const { presenter } = session;
  const files = await readFiles(session, options);
  const deployments = files
    .flatMap(({ text }) => text.split("\n"))
    .map(deployedFacts)
    .filter((facts) => facts !== null);
  const shown = options.lines === 0 ? [] : deployments.slice(-options.lines);
  if (options.json === true) {
    presenter.json(shown);
    return EXIT.ok;
  }
  presenter.table(
    ["TIME", "SERVICE", "COMMIT", "BY", "DEPLOYMENT"],
    shown.map(({ time, service, commit, author, deployment }) => [
      time,
      service,
      commit.slice(0, NUMBER_SHOWN) || "-",
      author,
      deployment.slice(0, NUMBER_SHOWN),
    ]),
  );
  return EXIT.ok;
}

async function verify(session: Session, options: AuditOptions): Promise<number> {
  const { presenter } = session;
  const crypto = new NodeCrypto();
  const hashText = (text: string): string =>
    Buffer.from(crypto.sha256(Buffer.from(text))).toString("hex");
  const verdict = verifyAudit(hashText, await readFiles(session, options));
  if (options.json === true) {
    presenter.json(verdict);
  } else if (verdict.ok) {
    const lines = verdict.lineCount === 1 ? "1 line" : `${verdict.lineCount} lines`;
    presenter.line(`${presenter.paint("green", "✓")} ${lines}, none changed, cut or missing`);
    if (verdict.firstNumber > 1) {
      presenter.line(`  the ${verdict.firstNumber - 1} before them had to make room`);
    }
    presenter.line(`  the last one: ${verdict.lastNumber} ${verdict.lastHash}`);
  } else {
    const { file, line, problem } = verdict;
    presenter.line(`${presenter.paint("red", "problem:")} ${file}:${line}: ${problem}`);
  }
  return verdict.ok ? EXIT.ok : EXIT.failed;
}

/** The oldest first. @throws CommandError when there is none */
async function readFiles(session: Session, options: AuditOptions): Promise<AuditFileText[]> {
  const { globalOptions, world } = session;
  const path =
    options.file === undefined
      ? await auditLogOf(globalOptions, world)
      : resolve(world.cwd, options.file);
  const numbers = Array.from({ length: AUDIT_FILES_MAX - 1 }, (_, i) => AUDIT_FILES_MAX - 1 - i);
  const names = [...numbers.map((number) => `${path}.${number}`), path].filter(existsSync);
  if (names.length === 0) {
    throw new CommandError(
      EXIT.notFound,
      `there is no audit log ${path}`,
      "it begins with the first service that goes live here; name another with --file",
    );
  }
  return names.map((name) => ({
    name,
    text: readTextFile(name, 2 * AUDIT_FILE_BYTES, "latin1") ?? "",
  }));
}
