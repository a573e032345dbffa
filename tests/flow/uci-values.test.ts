// What `uci get` tells over ubus, as UCI's text.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseUci } from "../../src/flow/uci/uci-text.ts";
import { uciTextOf } from "../../src/flow/uci/uci-values.ts";

const name = fc.stringMatching(/^[A-Za-z0-9_]{1,12}$/);
const value = fc.string({ maxLength: 20 });
const options = fc.dictionary(
  name,
  fc.oneof(value, fc.array(value, { minLength: 1, maxLength: 3 })),
  {
    maxKeys: 4,
  },
);
const sections = fc.uniqueArray(fc.record({ name, type: name, anonymous: fc.boolean(), options }), {
  maxLength: 5,
  selector: (section) => section.name,
});

describe("a package over ubus", () => {
  it("reads like the one in the file", () => {
    const values = {
      download: {
        ".anonymous": false,
        ".type": "bandwidth",
        ".name": "download",
        ".index": 1,
        max: "80000",
      },
      cfg01: {
        ".anonymous": true,
        ".type": "flow",
        ".name": "cfg01",
        ".index": 0,
        reflectors: ["1.1.1.1", "it's"],
      },
    };
    expect(uciTextOf({ values })).toBe(
      "config flow\n\tlist reflectors '1.1.1.1'\n\tlist reflectors 'it'\\''s'\n\nconfig bandwidth 'download'\n\toption max '80000'\n",
    );
  });

  it("says the same as its sections, whatever their values hold", () => {
    fc.assert(
      fc.property(sections, (wanted) => {
        const values = Object.fromEntries(
          wanted.map(({ name, type, anonymous, options }, index) => [
            name,
            { ".anonymous": anonymous, ".type": type, ".name": name, ".index": index, ...options },
          ]),
        );
        const read = parseUci(uciTextOf({ values })!);
        const told = read.map(({ type, name, options }) => [
          type,
          name,
          [...options.values()].map((option) => [option.name, option.values]).sort(),
        ]);
        expect(told).toEqual(
          wanted.map(({ name, type, anonymous, options }) => [
            type,
            anonymous ? null : name,
            Object.entries(options)
              .map(([key, value]) => [key, [value].flat()])
              .sort(),
          ]),
        );
      }),
    );
  });

  it("is refused when it is something else", () => {
    for (const answer of [
      {},
      { values: 1 },
      { values: { a: 1 } },
      { values: { a: { ".type": "x y z" } } },
    ]) {
      expect(uciTextOf(answer)).toBeNull();
    }
  });
});
