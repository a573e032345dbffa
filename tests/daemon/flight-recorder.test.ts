import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FlightRecorder } from "../../src/daemon/flight-recorder.ts";
import { FLIGHT_EVENT_BYTES_MAX, FLIGHT_FILES_MAX } from "../../src/kernel/limits.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "myco-flight-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function linesOf(recorder: FlightRecorder): string[] {
  const text = recorder.read().toString("utf8");
  return text === "" ? [] : text.slice(0, -1).split("\n");
}

describe("the flight recorder", () => {
  it("gives back events as lines of JSON, oldest first", () => {
    const recorder = new FlightRecorder();
    recorder.record(0, "started", { pid: 7 });
    recorder.record(1_500, "member-status", { status: "dead" });
    expect(linesOf(recorder)).toEqual([
      '{"at":"1970-01-01T00:00:00.000Z","kind":"started","pid":7}',
      '{"at":"1970-01-01T00:00:01.500Z","kind":"member-status","status":"dead"}',
    ]);
  });

  it("keeps only whole, newest events in a ring that is full", () => {
    const texts = fc.array(fc.string({ maxLength: 60, unit: "grapheme" }), { maxLength: 80 });
    fc.assert(
      fc.property(texts, fc.integer({ min: 1_000, max: 1_400 }), (messages, sizeBytes) => {
        const recorder = new FlightRecorder(sizeBytes);
        const all: string[] = [];
        for (const [index, message] of messages.entries()) {
          recorder.record(index, "event", { index, message });
          all.push(
            JSON.stringify({ at: new Date(index).toISOString(), kind: "event", index, message }),
          );
        }
        const kept = linesOf(recorder);
        expect(kept).toEqual(kept.length === 0 ? [] : all.slice(-kept.length));
        // One more would not have fitted.
        const sizeOf = (lines: string[]): number => Buffer.byteLength(lines.join("\n")) + 1;
        expect(sizeOf(kept)).toBeLessThanOrEqual(sizeBytes);
        if (kept.length < all.length) {
          expect(sizeOf(all.slice(-kept.length - 1))).toBeGreaterThan(sizeBytes - 1);
        }
      }),
    );
  });

  it("cuts an event that is too long to its time and kind", () => {
    const recorder = new FlightRecorder();
    recorder.record(0, "huge", { text: "x".repeat(FLIGHT_EVENT_BYTES_MAX) });
    expect(linesOf(recorder)).toEqual([
      '{"at":"1970-01-01T00:00:00.000Z","kind":"huge","cut":true}',
    ]);
  });

  it("keeps the newest recordings on disk and leaves other files alone", () => {
    const recorder = new FlightRecorder();
    recorder.record(0, "started");
    writeFileSync(join(folder, "node.key"), "secret");
    const files = [];
    for (let i = 0; i < FLIGHT_FILES_MAX + 2; i += 1) {
      files.push(recorder.writeFile(folder, 1_000 * i));
    }
    const left = readdirSync(folder).filter((name) => name.startsWith("flight-"));
    expect(left.sort().map((name) => join(folder, name))).toEqual(files.slice(2));
    expect(readdirSync(folder)).toContain("node.key");
    expect(readFileSync(files.at(-1)!, "utf8")).toBe(
      '{"at":"1970-01-01T00:00:00.000Z","kind":"started"}\n',
    );
  });
});
