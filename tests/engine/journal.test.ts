// Logs out of the journal: what is asked of journalctl, and how many are followed at a time.

import { expect, test } from "vitest";
import { Journal } from "../../src/engine/journal.ts";
import { JOURNALS_FOLLOWED_MAX, SERVICE_LOG_TAIL_BYTES_MAX } from "../../src/kernel/limits.ts";
import type { ChildCommand, ChildEvents, Children } from "../../src/kernel/system-ports.ts";

class StandIn implements Children {
  readonly started: { command: ChildCommand; events: ChildEvents; isEnded: boolean }[] = [];

  start(command: ChildCommand, events: ChildEvents) {
    const child = { command, events, isEnded: false };
    this.started.push(child);
    const end = (): void => {
      child.isEnded = true;
    };
    return { pid: 1, write: () => false, poll: () => {}, end };
  }

  run(): never {
    throw new Error("nothing is run to its end");
  }
}

test("the last lines are asked of the service's own unit", async () => {
  const children = new StandIn();
  const tail = new Journal(children).tail("web", 2);
  const [{ command, events }] = children.started as [(typeof children.started)[0]];
  expect(command.program).toBe("journalctl");
  expect(command.args).toEqual(
    expect.arrayContaining(["--unit=myco-web.service", "--lines=2", "--output=cat"]),
  );
  events.onLine?.("stdout", "one");
  events.onLine?.("stderr", "a complaint");
  events.onLine?.("stdout", "two");
  events.onExit("exited with code 0");
  expect(await tail).toEqual(["one", "two"]);
});

test("of more than is kept, the last remain", async () => {
  const children = new StandIn();
  const tail = new Journal(children).tail("web", 10_000);
  const { events } = children.started[0]!;
  const line = "x".repeat(1_000);
  for (let i = 0; i < 1_000; i += 1) events.onLine?.("stdout", `${i} ${line}`);
  events.onExit("exited with code 0");
  const lines = await tail;
  expect(lines.at(-1)).toBe(`999 ${line}`);
  expect(lines.join("\n").length).toBeLessThanOrEqual(SERVICE_LOG_TAIL_BYTES_MAX);
});

test("so many are followed at a time, and another when one has left or ended", () => {
  const children = new StandIn();
  const journal = new Journal(children);
  const seen: string[] = [];
  const follow = () => journal.follow("web", 5, (line) => seen.push(line));
  const stops = Array.from({ length: JOURNALS_FOLLOWED_MAX }, follow);
  expect(follow()).toBeNull();
  stops[0]!();
  expect(children.started[0]?.isEnded).toBe(true);
  children.started[0]?.events.onLine?.("stdout", "unheard");
  children.started[0]?.events.onExit("was ended by SIGTERM");
  expect(follow()).not.toBeNull();
  expect(follow()).toBeNull();
  children.started[1]?.events.onLine?.("stdout", "heard");
  children.started[1]?.events.onExit("exited with code 1");
  expect(seen).toEqual([
    "heard",
    "myco: the journal cannot be followed: journalctl exited with code 1",
  ]);
  expect(follow()).not.toBeNull();
});
