// Seeds that once found a fault of the product, and what it was.
import { describe, it } from "vitest";
import { runWell } from "./expectations.ts";

describe("faults found before", () => {
  it("reaped tombstones came back from peers slower to reap, for ever", () => {
    runWell("deletes", 2n);
  });
});
