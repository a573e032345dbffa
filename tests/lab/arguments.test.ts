import { describe, expect, test } from "vitest";
import { readArguments } from "./arguments.ts";

const NOTHING = { action: "run", accelerator: "auto", keep: false, verbose: false, scripts: [] };

describe("the command line of npm run lab", () => {
  test("runs every script without words, and those named with them", () => {
    expect(readArguments([])).toEqual(NOTHING);
    expect(readArguments(["flow-*", "mine.ts", "--keep", "--verbose"])).toEqual({
      ...NOTHING,
      keep: true,
      verbose: true,
      scripts: ["flow-*", "mine.ts"],
    });
  });

  test("lists, helps, and opens a shell in one script's machines", () => {
    expect(readArguments(["--list"])).toMatchObject({ action: "list" });
    expect(readArguments(["--help", "--list"])).toMatchObject({ action: "help" });
    expect(readArguments(["--shell", "lab"])).toMatchObject({ action: "shell", scripts: ["lab"] });
  });

  test("says what it does not understand", () => {
    expect(readArguments(["--acelerator", "tcg"])).toMatch("--acelerator");
    expect(readArguments(["--accelerator", "xen"])).toMatch('"xen"; it has to be auto, kvm or tcg');
    expect(readArguments(["--shell", "lab", "topology"])).toMatch("one script");
  });
});
