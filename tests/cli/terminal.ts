// Runs a command of the program as a person would, and keeps what it printed.
import { runCli } from "../../src/cli/cli.ts";

export interface Outcome {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

export interface TerminalOptions {
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

export async function myco(
  args: readonly string[],
  options: TerminalOptions = {},
): Promise<Outcome> {
  let out = "";
  let err = "";
  const isTTY = options.isTTY ?? false;
  const exitCode = await runCli(args, {
    stdout: {
      write: (text) => (out += text),
      isTTY,
      columns: options.columns ?? 100,
      rows: options.rows,
    },
    stderr: { write: (text) => (err += text), isTTY },
    stdin: Object.assign(words(options.stdin ?? ""), { isTTY }),
    env: { MYCO_CONFIG: "", ...options.env },
    cwd: options.cwd ?? process.cwd(),
  });
  return { exitCode, out, err };
}

async function* words(text: string): AsyncGenerator<string> {
  yield text;
}
