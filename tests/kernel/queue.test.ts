// The bounded queue against a plain array: first in, first out, and the oldest makes room.

import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AssertionError } from "../../src/kernel/assert.ts";
import { BoundedQueue } from "../../src/kernel/queue.ts";

type Step = { readonly do: "push"; readonly item: number } | { readonly do: "shift" | "clear" };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("push" as const), item: fc.nat() }) },
  { weight: 4, arbitrary: fc.constant({ do: "shift" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "clear" as const }) },
);

describe("a bounded queue", () => {
  test("does what an array does that drops its first item when it is full", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.array(step), (capacity, steps) => {
        const queue = new BoundedQueue<number>(capacity);
        const model: number[] = [];
        let dropped = 0;
        for (const each of steps) {
          if (each.do === "push") {
            const expected = model.length === capacity ? model.shift() : undefined;
            if (expected !== undefined) dropped += 1;
            model.push(each.item);
            expect(queue.push(each.item)).toBe(expected);
          } else if (each.do === "shift") {
            expect(queue.shift()).toBe(model.shift());
          } else {
            queue.clear();
            model.length = 0;
          }
          expect(queue.length).toBe(model.length);
          expect(queue.toArray()).toEqual(model);
          expect(queue.droppedCount).toBe(dropped);
        }
      }),
    );
  });

  test.each([0, -1, 1.5, Number.NaN])("is not made with room for %s items", (capacity) => {
    expect(() => new BoundedQueue(capacity)).toThrow(AssertionError);
  });
});
