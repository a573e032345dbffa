import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SystemClock } from "../../src/io/clock.ts";
import { Ticker } from "../../src/io/ticker.ts";

// A clock of our own beside faked timers: what is tested is arithmetic, not waiting.
beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function startTicker() {
  let pausedMs = 0;
  const clock = new SystemClock(Date.now, () => performance.now() + pausedMs);
  const ticker = new Ticker(100, clock);
  const times: number[] = [];
  const startMs = clock.monotonicMs();
  ticker.start(() => times.push(Math.round(clock.monotonicMs() - startMs)));
  /** Time passes in which no timer runs, as when the process is stopped. */
  const pause = (ms: number): void => {
    pausedMs += ms;
  };
  return { ticker, times, pause };
}

describe("the ticker", () => {
  it("ticks at a steady pace", () => {
    const { ticker, times } = startTicker();
    vi.advanceTimersByTime(350);
    ticker.stop();
    expect(times).toEqual([100, 200, 300]);
    expect(ticker.lagMs).toBeLessThan(1);
  });

  it("catches up with one tick at most after a pause, and says how late it was", () => {
    const { ticker, times, pause } = startTicker();
    vi.advanceTimersByTime(100);
    pause(950);
    vi.advanceTimersByTime(350);
    ticker.stop();
    // The tick due at 200 comes at 1150; one more right after it; then the pace again.
    expect(times).toEqual([100, 1150, 1151, 1250, 1350]);
    expect(Math.round(ticker.lagMs)).toBe(950);
  });

  it("takes another pace at once, also from within a tick", () => {
    const { ticker, times } = startTicker();
    vi.advanceTimersByTime(250);
    ticker.setInterval(10);
    vi.advanceTimersByTime(25);
    ticker.setInterval(1_000);
    vi.advanceTimersByTime(1_500);
    ticker.stop();
    expect(times).toEqual([100, 200, 260, 270, 1275]);
  });

  it("does nothing once stopped", () => {
    const { ticker, times } = startTicker();
    ticker.stop();
    vi.advanceTimersByTime(1_000);
    expect(times).toEqual([]);
  });
});
