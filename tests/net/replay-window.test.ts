import fc from "fast-check";
import { expect, test } from "vitest";
import { REPLAY_WINDOW_PACKETS } from "../../src/kernel/limits.ts";
import { ReplayWindow } from "../../src/net/replay-window.ts";

/** What RFC 6479 asks for, in a set that never forgets. */
class ReplayModel {
  readonly #seen = new Set<number>();
  #highest = -1;

  isFresh(counter: number): boolean {
    return this.#highest - counter <= REPLAY_WINDOW_PACKETS && !this.#seen.has(counter);
  }

  accept(counter: number): void {
    this.#seen.add(counter);
    this.#highest = Math.max(this.#highest, counter);
  }
}

function expectSameVerdicts(counters: readonly number[]): void {
  const window = new ReplayWindow();
  const model = new ReplayModel();
  for (const counter of counters) {
    const fresh = model.isFresh(counter);
    expect(window.isFresh(counter), `${counter}`).toBe(fresh);
    if (!fresh) continue;
    window.accept(counter);
    model.accept(counter);
    expect(window.isFresh(counter), `${counter} again`).toBe(false);
  }
}

test("given any order of near counters, then the window agrees with a set that never forgets", () => {
  const near = fc.nat({ max: 3 * REPLAY_WINDOW_PACKETS });
  fc.assert(fc.property(fc.array(near, { maxLength: 2_000 }), expectSameVerdicts));
});

test("given jumps forward of any size and steps back around the edge, then they agree too", () => {
  const step = fc.oneof(
    fc.integer({ min: -REPLAY_WINDOW_PACKETS - 40, max: 100 }),
    fc.integer({ min: 0, max: 100_000 }),
    fc.constantFrom(31, 32, 33, REPLAY_WINDOW_PACKETS, REPLAY_WINDOW_PACKETS + 32, 2 ** 40),
    fc.constantFrom(-REPLAY_WINDOW_PACKETS - 1, -REPLAY_WINDOW_PACKETS, -31, -32),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      let highest = 0;
      const counters = steps.map((by) => {
        const counter = Math.max(0, highest + by);
        highest = Math.max(highest, counter);
        return counter;
      });
      expectSameVerdicts(counters);
    }),
  );
});

test("the edge: as far back as the window is fresh, one further is not", () => {
  for (
    let highest = REPLAY_WINDOW_PACKETS + 1;
    highest < REPLAY_WINDOW_PACKETS + 70;
    highest += 1
  ) {
    const window = new ReplayWindow();
    window.accept(highest);
    expect(window.isFresh(highest - REPLAY_WINDOW_PACKETS)).toBe(true);
    expect(window.isFresh(highest - REPLAY_WINDOW_PACKETS - 1)).toBe(false);
  }
});

test("asking changes nothing: a forged packet with a high counter does not move the window", () => {
  const window = new ReplayWindow();
  window.accept(0);
  expect(window.isFresh(1_000_000)).toBe(true);
  expect(window.isFresh(1)).toBe(true);
});
