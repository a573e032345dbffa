import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BuildLog, explainFailure, parseBuildLine } from "../../src/engine/build-log.ts";
import {
  BUILD_LAST_LINES,
  BUILD_LINE_BYTES_MAX,
  BUILD_MESSAGE_CHARACTERS_MAX,
} from "../../src/kernel/limits.ts";

const line = (value: object): string => `@nix ${JSON.stringify(value)}`;
const builds = line({ action: "start", id: 2, level: 0, text: "", type: 104 });
const building = line({
  action: "start",
  fields: ["/nix/store/x.drv", "", 1, 1],
  id: 5,
  level: 3,
  text: "building '/nix/store/x.drv'",
  type: 105,
});
const count = (done: number, expected: number): string =>
  line({ action: "result", fields: [done, expected, 0, 0], id: 2, type: 105 });
const says = (text: string): string => line({ action: "result", fields: [text], id: 5, type: 101 });
const fails = (msg: string): string => line({ action: "msg", level: 0, msg });

/** What nix prints, in any order, with some of it bent. */
const anyLine = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.uint8Array().map((bytes) => `@nix ${Buffer.from(bytes).toString("latin1")}`),
  fc
    .record({
      action: fc.oneof(fc.constantFrom("start", "stop", "result", "msg"), fc.anything()),
      id: fc.oneof(fc.nat(200), fc.anything()),
      type: fc.oneof(fc.integer({ min: 99, max: 112 }), fc.anything()),
      fields: fc.oneof(fc.array(fc.oneof(fc.integer(), fc.string())), fc.anything()),
      text: fc.oneof(fc.string(), fc.anything()),
      level: fc.oneof(fc.constant(0), fc.anything()),
      msg: fc.oneof(fc.string(), fc.anything()),
    })
    .map((value) => {
      try {
        return line(value);
      } catch {
        return "@nix {";
      }
    }),
);

describe("a build's log", () => {
  it("tells what is built and how much of it is done", () => {
    const log = new BuildLog();
    for (const text of [builds, count(0, 3), building, count(1, 3)]) log.take(text);
    expect(log.progress).toEqual({
      phase: "building",
      detail: "building '/nix/store/x.drv'",
      doneCount: 1,
      expectedCount: 3,
    });
  });

  it("keeps the last lines of what failed, and nix's first words about it", () => {
    const log = new BuildLog();
    log.take(building);
    for (let i = 0; i < 30; i += 1) log.take(says(`line ${i}`));
    log.take(fails("\u001b[31;1merror:\u001b[0m builder failed"));
    log.take(fails("error: 1 dependency failed"));
    expect(log.lastLines).toHaveLength(BUILD_LAST_LINES);
    expect(log.lastLines.at(-1)).toBe("line 29");
    expect(explainFailure(log.error, log.lastLines).message).toMatch(/^builder failed; .*line 29$/);
  });

  it("reads a builder's UTF-8, which comes byte by byte", () => {
    const bytes = Buffer.from(says("‘naïve’ ✓")).toString("latin1");
    expect(parseBuildLine(bytes)).toEqual({ kind: "output", text: "‘naïve’ ✓" });
  });

  it("shows no control characters of a builder's", () => {
    expect(parseBuildLine(says("a\u001b[2Jb\u0007c"))).toEqual({ kind: "output", text: "ab c" });
  });

  it("stays bounded and true whatever it is told", () => {
    fc.assert(
      fc.property(fc.array(anyLine, { maxLength: 300 }), (lines) => {
        const log = new BuildLog();
        for (const text of lines) log.take(text);
        const { doneCount, expectedCount, detail } = log.progress;
        expect(doneCount).toBeGreaterThanOrEqual(0);
        expect(doneCount).toBeLessThanOrEqual(expectedCount);
        expect(detail.length).toBeLessThanOrEqual(200);
        expect(log.lastLines.length).toBeLessThanOrEqual(BUILD_LAST_LINES);
        const { message } = explainFailure(log.error, log.lastLines);
        expect(message.length).toBeGreaterThan(0);
        expect(message.length).toBeLessThanOrEqual(BUILD_MESSAGE_CHARACTERS_MAX);
      }),
    );
  });

  it("passes over a line that is too long", () => {
    expect(parseBuildLine(says("x".repeat(BUILD_LINE_BYTES_MAX)))).toBeNull();
  });
});

describe("why a build failed", () => {
  it.each([
    "error: flake 'x' does not provide attribute 'packages.x86_64-linux.nope'",
    "error: source tree referenced by 'x' does not contain a '/flake.nix' file",
    "error: NAR hash mismatch in input 'path:/a'",
    "error: cannot update unlocked flake input 'x' because lock file changes are not allowed",
    "error: undefined variable 'pkgs'",
  ])("is not mended by another try: %s", (error) => {
    expect(explainFailure(error, []).retry).toBe(false);
  });

  it.each([
    "error: builder for 'x' failed with exit code 1",
    "error: unable to download 'https://x': Couldn't resolve host name (6)",
    "",
  ])("may be mended by another try: %s", (error) => {
    expect(explainFailure(error, []).retry).toBe(true);
  });

  it("is the error itself, not the way to it", () => {
    const error =
      "error:\n       … while calling the 'derivationStrict' builtin\n\n       error: builder for 'x' failed with exit code 3;\n       last 1 log lines:\n       > because of this\n       For full logs, run:\n         nix log x";
    expect(explainFailure(error, ["because of this"]).message).toBe(
      "builder for 'x' failed with exit code 3; last 1 log lines: / because of this",
    );
  });
});
