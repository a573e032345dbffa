// The filters on an interface's ingress hook: which one is ours, and whose come before it.

const FILTERS_MAX = 1_024;
const ACTIONS_MAX = 32;

/** One filter as `tc -j filter show dev DEVICE ingress` lists it. */
export interface ListedFilter {
  /** The lower, the earlier. */
  readonly preference: number;
  /** Where it sends packets for good; null: nowhere. */
  readonly redirectsTo: string | null;
  /** It gives packets the DSCP of their connection's mark. */
  readonly restoresMarks: boolean;
}

/** Reads the list; null when it is none. */
export function parseFilterList(json: string): readonly ListedFilter[] | null {
  let list: unknown;
  try {
    list = JSON.parse(json);
  } catch {
    return null;
  }
  if (!Array.isArray(list) || list.length > FILTERS_MAX) return null;
  const filters: ListedFilter[] = [];
  for (const item of list) {
    if (!isObject(item) || typeof item.pref !== "number") continue;
    // Each filter is listed twice: its chain's head has no options.
    const options = isObject(item.options) ? item.options : null;
    if (options !== null) filters.push({ preference: item.pref, ...readActions(options.actions) });
  }
  return filters;
}

/** Ours among `filters`, known by the device it leads to, and everybody else's. */
export function ingressFilters(filters: readonly ListedFilter[], ifb: string) {
  const ours = filters.filter(({ redirectsTo }) => redirectsTo === ifb);
  const others = filters.filter(({ redirectsTo }) => redirectsTo !== ifb);
  return { ours, others };
}

function readActions(actions: unknown): Omit<ListedFilter, "preference"> {
  let redirectsTo: string | null = null;
  let restoresMarks = false;
  if (Array.isArray(actions)) {
    for (const action of actions.slice(0, ACTIONS_MAX)) {
      if (!isObject(action)) continue;
      if (action.kind === "ctinfo") restoresMarks = true;
      if (action.mirred_action !== "redirect") continue;
      if (typeof action.to_dev === "string") redirectsTo = action.to_dev;
    }
  }
  return { redirectsTo, restoresMarks };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
