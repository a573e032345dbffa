// When a scheduled service runs: systemd's calendar events (systemd.time(7), "Calendar Events"),
// in the part of their grammar that is checked here, so that a slip of the pen is told to whoever
// deploys and not to the node that would have run it.

const CALENDAR_CHARACTERS_MAX = 100;
export const CALENDAR_RULE =
  'a calendar event such as "daily", "Mon..Fri 03:30", "*-*-01 00:00 UTC" or "*:0/15"';

const SHORTHAND =
  /^(?:minutely|hourly|daily|weekly|monthly|quarterly|semiannually|yearly|annually)$/i;
/** The days by their beginnings, in the order in which a range of them goes up. */
const WEEKDAYS = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const WEEKDAY =
  /^(?:mon(?:day)?|tue(?:sday)?|wed(?:nesday)?|thu(?:rsday)?|fri(?:day)?|sat(?:urday)?|sun(?:day)?)$/;
/** `UTC`, or a name of the IANA time zone database. */
const ZONE = /^(?:UTC|[A-Z][A-Za-z]+(?:\/[A-Za-z0-9_+-]+){1,2})$/;

/** The values a component may take. */
interface Bounds {
  readonly min: number;
  readonly max: number;
}

const YEAR: Bounds = { min: 1970, max: 2199 };
const MONTH: Bounds = { min: 1, max: 12 };
const DAY: Bounds = { min: 1, max: 31 };
/** Days that can be counted from a month's end, whichever it is. */
const DAYS_OF_EVERY_MONTH = 28;
const HOUR: Bounds = { min: 0, max: 23 };
const SIXTIETH: Bounds = { min: 0, max: 59 };

/** Whether systemd takes `text` for the time of a timer: `[weekdays] [date] [time] [zone]` or a word. */
export function isCalendarEvent(text: string): boolean {
  if (text.length > CALENDAR_CHARACTERS_MAX) return false;
  const words = text.split(" ");
  const last = words.at(-1) ?? "";
  const isZoned = words.length > 1 && ZONE.test(last) && !areWeekdays(last);
  if (isZoned) words.pop();
  if (words.length === 1 && SHORTHAND.test(words[0]!)) return true;
  let readCount = areWeekdays(words[0]) ? 1 : 0;
  if (isDate(words[readCount])) readCount += 1;
  if (isTime(words[readCount])) readCount += 1;
  return readCount > 0 && readCount === words.length;
}

/** Days and ranges of them between commas. */
function areWeekdays(word: string | undefined): boolean {
  return (word ?? "").split(",").every((part) => {
    const days = part.toLowerCase().split("..");
    const [from = -1, to = from] = days.map((day) =>
      WEEKDAY.test(day) ? WEEKDAYS.indexOf(day.slice(0, 3)) : -1,
    );
    return days.length <= 2 && from >= 0 && to >= from;
  });
}

/** `[year-]month-day`, or `[year-]month~day` counted from the month's end. */
function isDate(word: string | undefined): boolean {
  const [, year = "*", month, mark, day] =
    /^(?:([^-~]+)-)?([^-~]+)([-~])([^-~]+)$/.exec(word ?? "") ?? [];
  if (month === undefined || day === undefined) return false;
  const isDay = mark === "~" ? isDayFromTheEnd(day) : isComponent(day, DAY);
  return isComponent(year, YEAR) && isComponent(month, MONTH) && isDay;
}

/** `N`, or `N/every` for those days and every so many after them, up to the month's end. */
function isDayFromTheEnd(text: string): boolean {
  const match = /^([0-9]{1,2})(?:\/([0-9]{1,2}))?$/.exec(text);
  if (match === null) return false;
  const [day, every] = [Number(match[1]), Number(match[2] ?? "1")];
  return (
    day >= 1 && day <= DAYS_OF_EVERY_MONTH && every >= 1 && (match[2] === undefined || every < day)
  );
}

/** `hour:minute[:second]` */
function isTime(word: string | undefined): boolean {
  const [hour = "", minute = "", second = "0", ...rest] = (word ?? "").split(":");
  if (rest.length > 0) return false;
  return isComponent(hour, HOUR) && isComponent(minute, SIXTIETH) && isComponent(second, SIXTIETH);
}

/** `*`, or values, ranges `from..to` and repetitions `from/every`, between commas. */
function isComponent(text: string, bounds: Bounds): boolean {
  return text === "*" || text.split(",").every((part) => isPart(part, bounds));
}

function isPart(text: string, { min, max }: Bounds): boolean {
  const match = /^([0-9]{1,4})(?:\.\.([0-9]{1,4}))?(?:\/([0-9]{1,4}))?$/.exec(text);
  if (match === null) return false;
  const from = Number(match[1]);
  if (from < min || from > max) return false;
  if (match[2] === undefined && match[3] === undefined) return true;
  const to = match[2] === undefined ? max : Number(match[2]);
  const every = match[3] === undefined ? 1 : Number(match[3]);
  return every >= 1 && to <= max && from + every <= to;
}
