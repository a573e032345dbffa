// A script of NixOS's test driver, and what the lab is asked to do for it.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Machine } from "./machine.ts";
import { runNixosScript } from "./nixos-bridge.ts";
import type { LabContext } from "./script.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "myco-bridge-"));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a script with two machines that note what they are asked. */
async function run(script: string): Promise<{ readonly asked: string[]; readonly error: string }> {
  const asked: string[] = [];
  const machine = (name: string) =>
    ({
      succeed: async (
        commands: readonly string[],
        { timeoutSeconds }: { timeoutSeconds: null },
      ) => {
        asked.push(`${name} succeed ${commands.join(" && ")} ${timeoutSeconds}`);
        if (commands[0] === "false") throw new Error("command `false` ended with exit code 1");
        return "output\n";
      },
      execute: async (command: string) => [command.length, "é\n"],
      crash: async () => void asked.push(`${name} crash`),
    }) as unknown as Machine;
  const lab = {
    machines: { alice: machine("alice"), "bob-2": machine("bob-2") },
    startAll: async () => void asked.push("start all"),
    note: (line: string) => asked.push(`note ${line}`),
    subtest: async <Result>(name: string, test: () => Promise<Result>): Promise<Result> => {
      asked.push(`begin ${name}`);
      try {
        const result = await test();
        asked.push(`passed ${name}`);
        return result;
      } catch (error) {
        asked.push(`failed ${name}: ${(error as Error).message}`);
        throw error;
      }
    },
  } as unknown as LabContext;
  const file = join(folder, "script.py");
  writeFileSync(file, script);
  const error = await runNixosScript(file, lab).then(
    () => "",
    (cause: Error) => cause.message,
  );
  return { asked, error: error.replaceAll(`${folder}/`, "") };
}

describe("a script of NixOS's test driver", () => {
  it("has its machines by name, and gets what they answer", async () => {
    const { asked, error } = await run(`start_all()
with subtest("two machines"):
    assert alice.succeed("one", "two", timeout=5) == "output\\n"
    assert bob_2.execute("four") == (4, "é\\n")
    bob_2.log("found")
    print("this is for nobody")
for machine in machines:
    machine.crash()
`);
    expect(error).toBe("");
    expect(asked).toEqual([
      ...["start all", "begin two machines", "alice succeed one && two 5"],
      ...["note bob-2: found", "passed two machines", "alice crash", "bob-2 crash"],
    ]);
  });

  it("ends at what fails, which is told with its line", async () => {
    const { asked, error } = await run(`with subtest("first"):
    alice.succeed("false")
with subtest("second"):
    pass
`);
    const told = 'script.py:2: alice.succeed("false")\ncommand `false` ended with exit code 1';
    expect(asked.at(-1)?.replace(`${folder}/`, "")).toBe(`failed first: ${told}`);
    expect(error).toBe(told);
  });

  it.each([
    ["an assertion", "assert 1 == 2, 'one is not two'", /line|AssertionError: one is not two/],
    ["a name it does not know", "carol.succeed('true')", /NameError: name 'carol'/],
    ["a verb the lab does not know", "ask('fly', 'alice')", /NameError/],
    ["no Python", "with:", /SyntaxError/],
  ])("fails with %s", async (_, script, message) => {
    expect((await run(script)).error).toMatch(message);
  });

  it("catches a failure that it expects", async () => {
    const { error } = await run(`try:
    alice.succeed("false")
except Exception as failure:
    assert "exit code 1" in str(failure)
else:
    raise AssertionError("it passed")
`);
    expect(error).toBe("");
  });
});
