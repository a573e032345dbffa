// `myco flow record`: keeps what the running loop is told, so that `myco flow replay` can decide
// it again.

import { closeSync, openSync, writeSync } from "node:fs";
import { resolve } from "node:path";
import { integerBetween } from "../arguments.ts";
import { EXIT } from "../exit-codes.ts";
import type { AddCommand } from "../session.ts";

const SECONDS_MAX = 86_400;

const HELP = `
A line of JSON for each thing the loop is told, about 1.7 KB ten times a second. It ends with
Ctrl-C or after --seconds; what was written by then can be replayed.

Examples:
  $ myco flow record evening.ndjson --seconds 600
  $ myco flow replay evening.ndjson`;

export const addRecordCommand: AddCommand = (parent, session, run) => {
  parent
    .command("record")
    .description("record what the running loop senses, until Ctrl-C")
    .argument("<file>", 'where to; "-" for standard output')
    .option("--seconds <number>", "end by itself", integerBetween(1, SECONDS_MAX))
    .addHelpText("after", HELP)
    .action(
      run(async (file: string, { seconds }: { seconds?: number }) => {
        const { presenter, world } = session;
        const client = await session.client();
        const ended = new AbortController();
        const end = (): void => ended.abort();
        process.once("SIGINT", end);
        const timer = seconds === undefined ? null : setTimeout(end, seconds * 1_000);
        const out = file === "-" ? null : new WholeLines(resolve(world.cwd, file));
        try {
          await client.follow(
            "/flow/recording",
            (text) => (out === null ? presenter.raw(text) : out.write(text)),
            ended.signal,
          );
        } finally {
          process.off("SIGINT", end);
          if (timer !== null) clearTimeout(timer);
          out?.close();
        }
        if (out !== null) presenter.remark(`${out.lineCount} lines in ${file}`);
        return EXIT.ok;
      }),
    );
};

/** A file that never ends in the middle of a line, wherever the text breaks off. */
class WholeLines {
  lineCount = 0;
  readonly #file: number;
  #rest = "";

  constructor(path: string) {
    this.#file = openSync(path, "w", 0o600);
  }

  write(text: string): void {
    const whole = this.#rest + text;
    const end = whole.lastIndexOf("\n") + 1;
    this.#rest = whole.slice(end);
    if (end === 0) return;
    const lines = whole.slice(0, end);
    writeSync(this.#file, lines);
    this.lineCount += lines.split("\n").length - 1;
  }

  close(): void {
    closeSync(this.#file);
  }
}
