import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SystemClock } from "../../src/io/clock.ts";

function fakeClock(startWallMs: number) {
  const time = { wallMs: startWallMs, monotonicMs: 500 };
  const clock = new SystemClock(
    () => time.wallMs,
    () => time.monotonicMs,
  );
  const pass = (ms: number): void => {
    time.wallMs += ms;
    time.monotonicMs += ms;
  };
  return { time, clock, pass };
}

describe("the clock", () => {
  it("shows the wall clock's time while that keeps its pace", () => {
    const { clock, pass } = fakeClock(1_000_000);
    pass(250);
    expect(clock.nowMs()).toBe(1_000_250);
  });

  it("follows a step forwards at once", () => {
    const { clock, time, pass } = fakeClock(1_000_000);
    time.wallMs += 3_600_000;
    pass(100);
    expect(clock.nowMs()).toBe(4_600_100);
  });

  it("runs at half its pace after a short step backwards, until the wall clock has caught up", () => {
    const { clock, time, pass } = fakeClock(1_000_000);
    time.wallMs -= 100;
    pass(100);
    expect(clock.nowMs()).toBe(1_000_050);
    pass(100);
    expect(clock.nowMs()).toBe(1_000_100);
    pass(100);
    expect(clock.nowMs()).toBe(1_000_200);
  });

  it("follows a wall clock that was far ahead and is set right", () => {
    const { clock, time, pass } = fakeClock(1_000_000_000);
    time.wallMs -= 500_000_000;
    pass(100);
    expect(clock.nowMs()).toBe(500_000_100);
  });

  it("never runs backwards while the wall clock's steps are short", () => {
    const step = fc.record({
      passMs: fc.nat({ max: 1_000 }),
      stepMs: fc.integer({ min: -3_000, max: 3_000 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const { clock, time, pass } = fakeClock(1_000_000);
        let last = clock.nowMs();
        for (const { passMs, stepMs } of steps) {
          // More than the smoothing takes at once is a clock set right.
          if (last - (time.wallMs + stepMs) < 9_000) time.wallMs += stepMs;
          pass(passMs);
          const nowMs = clock.nowMs();
          expect(nowMs).toBeGreaterThanOrEqual(last);
          expect(nowMs).toBeGreaterThanOrEqual(Math.floor(time.wallMs));
          last = nowMs;
        }
      }),
    );
  });
});
