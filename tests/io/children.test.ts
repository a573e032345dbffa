// Children of the flow plane: lines, bytes and input, and that none outlives the daemon.

import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildSync } from "esbuild";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { SystemChildren } from "../../src/io/children.ts";
import { LineSplitter } from "../../src/io/line-splitter.ts";
import { CHILD_INPUT_BYTES_MAX, PIPE_WRITE_BYTES_MAX, PIPES_MAX } from "../../src/kernel/limits.ts";
import type { Child, ChildCommand } from "../../src/kernel/system-ports.ts";

const stateDir = mkdtempSync(join(tmpdir(), "myco-children-"));
afterAll(() => rmSync(stateDir, { recursive: true, force: true }));

const children = new SystemChildren({ stateDir });

interface Ended {
  readonly lines: string[];
  readonly how: string;
}

/** Runs `script` in a shell to its end. `during` gets the child once it has said its first line. */
function runShell(
  script: string,
  options: { during?: (child: Child) => void; command?: Partial<ChildCommand> } = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const lines: string[] = [];
    const child = children.start(
      { program: "sh", args: ["-c", script], lineBytesMax: 1_000, ...options.command },
      {
        onLine: (stream, line) => {
          lines.push(stream === "stdout" ? line : `! ${line}`);
          if (lines.length === 1) options.during?.(child);
        },
        onExit: (how) => resolve({ lines, how }),
      },
    );
  });
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function untilGone(pid: number): Promise<boolean> {
  for (let i = 0; i < 100 && lives(pid); i += 1) await new Promise((go) => setTimeout(go, 50));
  return !lives(pid);
}

function bundleDoomedDaemon(): string {
  const outfile = join(stateDir, "doomed-daemon.mjs");
  const entryPoints = ["tests/io/doomed-daemon.ts"];
  buildSync({ entryPoints, outfile, bundle: true, platform: "node", format: "esm" });
  return outfile;
}

describe("a child", () => {
  test("tells its lines of both streams, the last one without an end too, then how it ended", async () => {
    const ended = await runShell("echo one; echo two >&2; printf three; exit 7");
    expect(ended.lines.sort()).toEqual(["! two", "one", "three"]);
    expect(ended.how).toBe("exited with code 7");
  });

  test("reads what is written to it", async () => {
    const during = (child: Child): void => {
      expect(child.write("hello\n")).toBe(true);
    };
    const ended = await runShell("echo ready; read -r word; echo got $word", { during });
    expect(ended.lines).toEqual(["ready", "got hello"]);
  });

  test("ends when asked to, and is killed when it will not", async () => {
    const polite = await runShell("echo up; exec sleep 60", { during: (c) => c.end() });
    const stubborn = await runShell("trap '' TERM; echo up; while :; do sleep 1; done", {
      during: (c) => c.end(),
    });
    expect([polite.how, stubborn.how]).toEqual(["was ended by SIGTERM", "was ended by SIGKILL"]);
  });

  test("dies when the daemon is killed, though it neither reads nor writes", async () => {
    const daemon = spawn(process.execPath, [bundleDoomedDaemon()], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const pid = await new Promise<number>((resolve) => {
      daemon.stdout.once("data", (text: Buffer) => resolve(Number(text.toString())));
    });
    expect(lives(pid)).toBe(true);
    daemon.kill("SIGKILL");
    expect(await untilGone(pid)).toBe(true);
  });
});

test("a polled child speaks only when polled, and at its end", async () => {
  const heard: number[] = [];
  let child: Child | null = null;
  const ended = new Promise<string>((resolve) => {
    child = children.start(
      {
        program: "sh",
        args: ["-c", "echo one; echo two; read -r _; echo three"],
        lineBytesMax: 100,
        polled: true,
      },
      { onLine: () => heard.push(heard.length), onExit: resolve },
    );
  });
  await new Promise((go) => setTimeout(go, 300));
  expect(heard.length).toBe(0);
  child!.poll();
  expect(heard.length).toBe(2);
  child!.poll();
  child!.write("go\n");
  expect(await ended).toBe("exited with code 0");
  expect(heard.length).toBe(3);
});

test.each([true, false])("bytes come unchanged (polled: %s)", async (polled) => {
  const chunks: Buffer[] = [];
  const how = await new Promise<string>((resolve) => {
    const child = children.start(
      { program: "head", args: ["-c", "300000", "/dev/zero"], lineBytesMax: 100, polled },
      {
        onBytes: (bytes) => {
          chunks.push(Buffer.from(bytes));
        },
        onExit: (text) => {
          clearInterval(timer);
          resolve(text);
        },
      },
    );
    const timer = setInterval(() => child.poll(), 20);
  });
  expect(how).toBe("exited with code 0");
  expect(Buffer.concat(chunks).equals(Buffer.alloc(300_000))).toBe(true);
});

test("what a child does not read is dropped beyond a bound", async () => {
  const text = "x".repeat(CHILD_INPUT_BYTES_MAX / 4);
  const taken: boolean[] = [];
  await runShell("echo up; exec sleep 60", {
    during: (child) => {
      for (let i = 0; i < 12; i += 1) taken.push(child.write(text));
      child.end();
    },
  });
  expect(taken[0]).toBe(true);
  expect(taken.at(-1)).toBe(false);
});

test("more polled children than there are pipes for speak as they like, and pipes are used again", async () => {
  const runPolled = (): Promise<Ended> => runShell("echo hello", { command: { polled: true } });
  for (let round = 0; round < 3; round += 1) {
    const all = await Promise.all(Array.from({ length: PIPES_MAX / 2 + 2 }, runPolled));
    expect(all.map(({ lines }) => lines)).toEqual(all.map(() => ["hello"]));
  }
});

test("what a polled child does not read is refused once its pipe is full", async () => {
  const text = "x".repeat(PIPE_WRITE_BYTES_MAX);
  const taken: boolean[] = [];
  const child = children.start(
    { program: "sleep", args: ["60"], lineBytesMax: 100, polled: true },
    { onExit: () => {} },
  );
  for (let i = 0; i < 40; i += 1) taken.push(child.write(text));
  child.end();
  expect([taken[0], taken.at(-1)]).toEqual([true, false]);
});

test.each([
  ["nowhere-to-be-found", "could not be started: there is no nowhere-to-be-found"],
  ["/etc/passwd", "could not be started: /etc/passwd is not executable"],
])("a program that cannot run is told in words: %s", async (program, how) => {
  expect((await runShell("", { command: { program } })).how).toBe(how);
  expect((await children.run(program, [])).stderr).toBe(how);
});

test("a new daemon ends what a killed one left running", async () => {
  const folder = mkdtempSync(join(stateDir, "life-"));
  const earlier = new SystemChildren({ stateDir: folder });
  const ended = new Promise<string>((resolve) => {
    earlier.start({ program: "sleep", args: ["60"], lineBytesMax: 100 }, { onExit: resolve });
  });
  const later = new SystemChildren({ stateDir: folder });
  expect(later).toBeDefined();
  expect(await ended).toBe("was ended by SIGKILL");
  const left = readdirSync(join(folder, "children")).filter((name) => !name.startsWith("pipe-"));
  expect(left).toEqual([]);
});

describe("a command that is run to its end", () => {
  test("gets its input and gives both outputs and its code", async () => {
    const result = await children.run("sh", ["-c", "cat; echo no >&2; exit 3"], { input: "yes" });
    expect(result).toEqual({ exitCode: 3, stdout: "yes", stderr: "no\n" });
  });

  test("is killed when it takes too long", async () => {
    const result = await children.run("sleep", ["60"], { timeoutMs: 100 });
    expect(result.exitCode).toBe(null);
    expect(result.stderr).toContain("took longer than 0.1 s");
  });
});

test("lines are the same however their bytes are cut, and never longer than the bound", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: fc.constantFrom("a", "b", "\n", "é"), maxLength: 40 })),
      fc.integer({ min: 1, max: 20 }),
      (pieces, lineBytesMax) => {
        const splitter = new LineSplitter(lineBytesMax);
        const lines: string[] = [];
        for (const piece of pieces)
          splitter.push(Buffer.from(piece, "latin1"), (l) => lines.push(l));
        splitter.finish((l) => lines.push(l));
        const whole = pieces.join("").split("\n");
        if (whole.at(-1) === "") whole.pop();
        expect(lines).toEqual(whole.map((line) => line.slice(0, lineBytesMax)));
      },
    ),
  );
});
