// Seeds that once found a fault of the product, and what it was.
import { describe, it } from "vitest";
import { runWell } from "./expectations.ts";

describe("faults found before", () => {
  it("a service dropped on a peer's word came back out of the log at the next start", () => {
    runWell("deletes", 1n);
  });

  it("reaped tombstones came back from peers slower to reap, for ever", () => {
    runWell("deletes", 2n);
  });
});
