import { describe, expect, test } from "vitest";
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
