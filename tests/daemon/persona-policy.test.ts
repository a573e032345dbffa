import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PersonaPolicyStore } from "../../src/daemon/persona-policy.ts";
import { parseConfiguration } from "../../src/schema/configuration.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "myco-policy-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const { flow } = parseConfiguration("flow: { persona: { treatment: { bulk: throttle } } }", "");

function load(): PersonaPolicyStore {
  const store = new PersonaPolicyStore(folder);
  expect(store.load()).toBeNull();
  return store;
}

describe("the policy of personas", () => {
  it("is what the configuration says, until a command says otherwise, also after a restart", () => {
    load().set("torrent", "throttle");
    load().set("bulk", "normal");
    const store = load();
    expect(store.over(flow).persona.treatment).toEqual({ bulk: "normal", torrent: "throttle" });
    const set = store.list(flow).filter(({ from }) => from !== "default");
    expect(set).toEqual([
      { persona: "bulk", treatment: "normal", from: "command" },
      { persona: "torrent", treatment: "throttle", from: "command" },
    ]);
  });

  it("returns to the configuration when it is reset", () => {
    load().set("bulk", "boost");
    load().set("bulk", null);
    expect(load().over(flow)).toEqual(flow);
    expect(load().list(flow)).toContainEqual({
      persona: "bulk",
      treatment: "throttle",
      from: "configuration",
    });
  });

  it.each(["", "{", "[1]", '{"torrent":"faster"}', '{"nobody":"boost"}', "7"])(
    "is left out, and said so, when its file holds %j",
    (text) => {
      writeFileSync(join(folder, "flow-policy.json"), text);
      const store = new PersonaPolicyStore(folder);
      expect(store.load()).toMatch(/cannot be understood/);
      expect(store.over(flow)).toEqual(flow);
      store.set("voip", "boost");
      expect(JSON.parse(readFileSync(join(folder, "flow-policy.json"), "utf8"))).toEqual({
        voip: "boost",
      });
    },
  );
});
