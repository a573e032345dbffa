// The pauses between starts of a daemon that keeps ending, in busybox' shell.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { skipWithout } from "../skip-without.ts";
import { BUSYBOX, StandInRoot } from "./stand-in-root.ts";

const START = "usr/lib/myco/start";
const PAUSES = [0, 5, 10, 20, 40, 80, 160, 300, 300];

describe("a start of the daemon, in busybox' shell", () => {
  skipWithout(BUSYBOX, "busybox");
  let root: StandInRoot;
  beforeAll(() => {
    root = new StandInRoot();
  });
  beforeEach(() => root.reset());
  afterAll(() => root.remove());

  const uptime = (): number => Number.parseInt(readFileSync("/proc/uptime", "utf8"), 10);
  const noteLastStart = (secondsAgo: number, pause: number | string): void => {
    root.write("run/start", `${uptime() - secondsAgo} ${pause}\n`);
  };
  /** With a `sleep` that does not. @returns the seconds it would have slept */
  const pauseOfNextStart = (): number => {
    root.replaceApplet("sleep", '#!/bin/sh\necho "slept $1" >>"$STATE/calls"\n');
    const outcome = root.run([START, join(root.path, "run"), "echo", "it", "runs"]);
    expect(outcome).toMatchObject({ exitCode: 0, stdout: "it runs\n" });
    const slept = outcome.calls.find((call) => call.startsWith("slept "));
    return slept === undefined ? 0 : Number(slept.split(" ")[1]);
  };

  it("is at once when there was none before", () => {
    root.removeFile("run");
    expect(pauseOfNextStart()).toBe(0);
  });

  it("waits twice as long each time the daemon ends soon, up to five minutes", () => {
    root.removeFile("run");
    for (const pause of PAUSES) {
      expect(pauseOfNextStart()).toBe(pause);
      noteLastStart(1, pause);
    }
  });

  it("is at once after a life of five minutes", () => {
    noteLastStart(301, 160);
    expect(pauseOfNextStart()).toBe(0);
  });

  it("takes notes that make no sense for none", () => {
    const note = fc.stringMatching(/^[0-9a-z -]{0,12}$/);
    fc.assert(
      fc.property(note, (text) => {
        root.write("run/start", `${text}\n`);
        expect(pauseOfNextStart()).toBeLessThanOrEqual(300);
      }),
      { numRuns: 15 },
    );
  });

  it("ends at once when it is told to while it waits, and says why it waited", async () => {
    root.restoreApplet("sleep");
    noteLastStart(1, 160);
    const child = spawn(
      BUSYBOX ?? "",
      ["ash", join(root.path, START), join(root.path, "run"), "true"],
      {
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    const [said] = await once(child.stderr, "data");
    expect(String(said)).toContain("starts again in 300 s");
    child.kill("SIGTERM");
    const [exitCode] = await once(child, "exit");
    expect(exitCode).toBe(143);
  });
});
