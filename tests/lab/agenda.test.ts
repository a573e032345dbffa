import { describe, expect, test } from "vitest";
import { Agenda, groupBySharing, type RunnableScript } from "./agenda.ts";
import type { LabScript } from "./script.ts";

const runnable = (name: string, options: Partial<LabScript> = {}): RunnableScript => ({
  name,
  script: { title: "", machines: { a: {} }, test: async () => {}, ...options },
});
const counting = (name: string): RunnableScript =>
  runnable(name, { machines: { a: { clock: "instructions" } } });

test("scripts that share machines come together, in the order they were named", () => {
  const scripts = [
    runnable("own"),
    runnable("shared-1", { reuse: true }),
    runnable("other", { reuse: true, machines: { b: {} } }),
    runnable("own-2"),
    runnable("shared-2", { reuse: true }),
  ];
  const groups = groupBySharing(scripts).map((group) => group.map(({ name }) => name));
  expect(groups).toEqual([["own"], ["shared-1", "shared-2"], ["other"], ["own-2"]]);
});

describe("an agenda", () => {
  const taken = (agenda: Agenda, lane: number): string | undefined => agenda.take(lane)?.[0]?.name;

  test("gives the first lane what runs by the host's clock, and what is left of the rest", () => {
    const scripts = [counting("c1"), runnable("t1"), counting("c2"), runnable("t2")];
    const agenda = new Agenda(scripts);
    expect(agenda.lanes).toBe(2);
    expect([taken(agenda, 0), taken(agenda, 1), taken(agenda, 0)]).toEqual(["t1", "c1", "t2"]);
    expect([taken(agenda, 0), taken(agenda, 1), taken(agenda, 0)]).toEqual([
      "c2",
      undefined,
      undefined,
    ]);
  });

  test("never runs two by the host's clock side by side", () => {
    const agenda = new Agenda([runnable("t1"), runnable("t2")]);
    expect(agenda.lanes).toBe(1);
    expect(taken(agenda, 1)).toBeUndefined();
  });

  test("runs those that count instructions side by side, where there are two", () => {
    expect(new Agenda([counting("c1")]).lanes).toBe(1);
    expect(new Agenda([counting("c1"), counting("c2"), counting("c3")]).lanes).toBe(2);
    expect(new Agenda([]).lanes).toBe(0);
  });
});
