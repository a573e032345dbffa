import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Ewma } from "../../src/kernel/ewma.ts";

const sample = fc.double({ min: -1e6, max: 1e6, noNaN: true });
const weight = fc.double({ min: 0, max: 1, noNaN: true });

describe("an exponentially weighted mean", () => {
  test("stays between the smallest and the largest sample", () => {
    fc.assert(
      fc.property(fc.array(sample, { minLength: 1 }), weight, weight, (samples, up, down) => {
        const mean = new Ewma(up, down);
        for (const each of samples) mean.add(each);
        expect(mean.value).toBeGreaterThanOrEqual(Math.min(...samples) - 1e-6);
        expect(mean.value).toBeLessThanOrEqual(Math.max(...samples) + 1e-6);
      }),
    );
  });

  test("takes the first sample whole", () => {
    const mean = new Ewma(0.001);
    expect(mean.value).toBeNull();
    expect(mean.add(20)).toBe(20);
  });

  test("rises slowly and falls fast when told so", () => {
    const mean = new Ewma(0.01, 0.5);
    mean.add(20);
    expect(mean.add(40)).toBeCloseTo(20.2);
    expect(mean.add(10)).toBeCloseTo(15.1);
  });

  test("moves as a whole when shifted", () => {
    const mean = new Ewma(0.1);
    mean.shift(5);
    expect(mean.value).toBeNull();
    mean.add(20);
    mean.shift(5);
    expect(mean.value).toBe(25);
  });
});
