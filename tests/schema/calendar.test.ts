// The calendar events a schedule may be: what systemd.time(7) shows, and no near miss.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isCalendarEvent } from "../../src/schema/calendar.ts";

describe("a calendar event", () => {
  it.each([
    "minutely",
    "daily",
    "daily UTC",
    "weekly Pacific/Auckland",
    "Thu,Fri 2012-*-1,5 11:12:13",
    "Mon",
    "Sat,Thu,Mon..Wed,Sat..Sun",
    "monday *-12-* 17:00",
    "Mon *-05~07/1",
    "*-02~03",
    "03-05 08:05:40",
    "05:40",
    "12..14:10,20,30",
    "*:2/3",
    "*-*-01 00:00 UTC",
    "Mon..Fri 03:30 America/Argentina/Buenos_Aires",
    "2003-02..04-05",
  ])("is accepted: %s", (text) => {
    expect(isCalendarEvent(text)).toBe(true);
  });

  it.each([
    "",
    " ",
    "UTC",
    "often",
    "Mon 25:00",
    "00:60",
    "*-13-01",
    "*-*-00",
    "*-*~29",
    "*/5:00",
    "12:0/0",
    "22:59/42",
    "14..12:00",
    "1:2:3:4",
    "05:40 05:40",
    "03-05 03-05",
    "daily  UTC",
    "daily UTC UTC",
    "daily\nUnit=x",
    "%h:00",
    "9".repeat(101),
  ])("is refused: %j", (text) => {
    expect(isCalendarEvent(text)).toBe(false);
  });

  it("is judged whatever the text, in no time", () => {
    const pieces = fc.array(fc.constantFrom(..."*,./:~- 0129", "..", "Mon", "UTC", "daily"), {
      maxLength: 60,
    });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          pieces.map((parts) => parts.join("")),
        ),
        (text) => {
          if (isCalendarEvent(text)) expect(text).toMatch(/^[A-Za-z0-9*,./:~_+ -]{1,100}$/);
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
