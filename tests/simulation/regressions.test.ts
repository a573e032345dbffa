// Seeds that once found a fault of the product, and what it was.
import { describe, it } from "vitest";
import { runWell } from "./expectations.ts";

describe("faults found before", () => {
  it("reaped tombstones came back from peers slower to reap; two nodes in doubt proved each other right", () => {
    runWell("deletes", 14n);
  });

  it("services were dropped on a peer's word and came back: out of the log, or out of a packet under way", () => {
    runWell("deletes", 10n);
  });

  it("nodes in doubt took a deleted service from each other, and none doubted it any more", () => {
    runWell("deletes-all", 10n);
  });
});
