import { describe, expect, test } from "vitest";
import { groupBySharing, type RunnableScript } from "./runner.ts";
import type { LabScript } from "./script.ts";
import { chooseScripts } from "./script-files.ts";

const all = ["flow-faults", "flow-tins", "lab"].map((name) => ({ name, file: `/lab/${name}.ts` }));
const names = (words: string[]): string[] =>
  chooseScripts(words, all, (path) => path === "my/own.ts").map(({ name }) => name);

describe("a lab script is chosen", () => {
  test("by name, by the beginning of a name, and by file, each once", () => {
    expect(names(["lab"])).toEqual(["lab"]);
    expect(names(["flow-tins", "flow-*"])).toEqual(["flow-tins", "flow-faults"]);
    expect(names(["my/own.ts"])).toEqual(["own"]);
  });

  test("or refused with the names there are", () => {
    expect(() => names(["tins"])).toThrow(
      '"tins" is no lab script and no file; there are: flow-faults, flow-tins, lab',
    );
    expect(() => names(["my/other.ts"])).toThrow("my/other.ts");
  });
});

test("scripts that share machines come together, in the order they were named", () => {
  const runnable = (name: string, options: Partial<LabScript>): RunnableScript => ({
    name,
    script: { title: "", machines: { a: {} }, test: async () => {}, ...options },
  });
  const scripts = [
    runnable("own", {}),
    runnable("shared-1", { reuse: true }),
    runnable("other", { reuse: true, machines: { b: {} } }),
    runnable("own-2", {}),
    runnable("shared-2", { reuse: true }),
  ];
  expect(groupBySharing(scripts).map(({ name }) => name)).toEqual([
    "own",
    "shared-1",
    "shared-2",
    "other",
    "own-2",
  ]);
});
