// Groups of child processes: output at a bounded rate, and why one could not run.

import { describe, expect, test } from "vitest";
import { endProcessGroup, startProcessGroup } from "../../src/io/process-group.ts";
import { SERVICE_OUTPUT_BYTES_PER_SECOND_MAX } from "../../src/kernel/limits.ts";

const env = { PATH: "/usr/bin:/bin" };

function run(program: string, args: readonly string[]): Promise<{ success: boolean; how: string }> {
  return new Promise((resolve) => {
    startProcessGroup(
      { program, args, cwd: "/", env },
      { onOutput: () => {}, onExit: (success, how) => resolve({ success, how }) },
    );
  });
}

describe("an exit", () => {
  test.each([
    ["true", [], true, "exited with code 0"],
    ["sh", ["-c", "exit 7"], false, "exited with code 7"],
    ["sh", ["-c", "kill -9 $$"], false, "was ended by SIGKILL"],
    ["nowhere", [], false, "could not be started: there is no nowhere"],
    ["/etc/passwd", [], false, "could not be started: /etc/passwd is not executable"],
    ["true", ["nul\0byte"], false, expect.stringContaining("could not be started: ")],
  ])("of %s %j is told in words", async (program, args, success, how) => {
    expect(await run(program, args)).toEqual({ success, how });
  });
});

test("a program that prints without end is read a bounded amount at a time", async () => {
  let receivedBytes = 0;
  const endless = startProcessGroup(
    { program: "yes", args: [], cwd: "/", env },
    {
      onOutput: (_, chunk) => {
        receivedBytes += chunk.length;
      },
      onExit: () => {},
    },
  );
  // Without the bound, hundreds of megabytes would come through in the meantime.
  await run("sleep", ["0.5"]);
  expect(receivedBytes).toBeGreaterThan(0);
  expect(receivedBytes).toBeLessThan(4 * SERVICE_OUTPUT_BYTES_PER_SECOND_MAX);
  await new Promise<void>((done) => endProcessGroup(endless.pid!, 500, done));
});
