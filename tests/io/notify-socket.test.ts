// The way to the service manager's ear: what of the environment is believed, and what the
// program in between is given.

import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { sendToServiceManager, takeNotifySurroundings } from "../../src/io/notify-socket.ts";
import { AssertionError } from "../../src/kernel/assert.ts";

const folder = mkdtempSync(join(tmpdir(), "myco-notify-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** A program in systemd-notify's place. */
function standIn(script: string): string {
  const file = join(folder, "notify");
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

describe("the surroundings", () => {
  test("are taken out of the environment, so that no child speaks for the daemon", () => {
    const env: Record<string, string | undefined> = {
      NOTIFY_SOCKET: "/run/systemd/notify",
      WATCHDOG_USEC: "30000000",
      WATCHDOG_PID: "7",
      HOME: "/root",
    };
    const expected = { socket: "/run/systemd/notify", watchdogMs: 30_000 };
    expect(takeNotifySurroundings(env, 7)).toEqual(expected);
    expect(env).toEqual({ HOME: "/root" });
  });

  test("are none without a socket, and have no watchdog that is another's or makes no sense", () => {
    expect(takeNotifySurroundings({ WATCHDOG_USEC: "30000000" }, 7)).toBeNull();
    expect(takeNotifySurroundings({ NOTIFY_SOCKET: "vsock:2:1" }, 7)).toBeNull();
    for (const change of [{ WATCHDOG_PID: "8" }, { WATCHDOG_USEC: "-1" }, { WATCHDOG_USEC: "" }]) {
      const env = { NOTIFY_SOCKET: "@abstract", WATCHDOG_USEC: "30000000", ...change };
      expect(takeNotifySurroundings(env, 7)).toEqual({ socket: "@abstract", watchdogMs: null });
    }
  });
});

describe("a message", () => {
  test("goes to the socket as it is, and nothing of the daemon's environment with it", async () => {
    const output = join(folder, "output");
    const program = standIn(`{ printf '%s\\n' "$@"; env | sort; } >${output}`);
    process.env.MYCO_TEST_SECRET = "1";
    const problem = await sendToServiceManager("@s", ["READY=1", "STATUS=a 'b' $c"], program);
    delete process.env.MYCO_TEST_SECRET;
    expect(problem).toBeNull();
    const text = readFileSync(output, "utf8");
    expect(text.startsWith("READY=1\nSTATUS=a 'b' $c\n")).toBe(true);
    expect(text).toContain("NOTIFY_SOCKET=@s\n");
    expect(text).not.toContain("MYCO_TEST_SECRET");
  });

  test("that cannot be sent says why", async () => {
    const program = standIn("echo no such socket >&2; exit 1");
    expect(await sendToServiceManager("@s", ["READY=1"], program)).toBe("no such socket");
    expect(await sendToServiceManager("@s", ["READY=1"], "no-such-program")).toContain(
      "no-such-program",
    );
  });

  test("of two lines is our own mistake", () => {
    expect(() => sendToServiceManager("@s", ["STATUS=a\nREADY=1"])).toThrow(AssertionError);
  });
});
