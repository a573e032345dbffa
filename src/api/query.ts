// Reads what follows the question mark of a request.

import { ApiError } from "./api-error.ts";

/** @throws ApiError 400 for a parameter that is none of `allowed` */
export function requireParameters(query: URLSearchParams, allowed: readonly string[]): void {
  for (const name of query.keys()) {
    if (allowed.includes(name)) continue;
    const list = allowed.length === 0 ? "none" : allowed.join(", ");
    throw badQuery(`found the parameter ${JSON.stringify(name)}; allowed: ${list}`);
  }
}

/** @throws ApiError 400 for anything but a whole number from 0 to `max` */
export function wholeNumberOf(
  query: URLSearchParams,
  name: string,
  whenLeftOut: number,
  max: number,
): number {
  const text = query.get(name) ?? String(whenLeftOut);
  if (/^[0-9]{1,6}$/.test(text) && Number(text) <= max) return Number(text);
  throw badQuery(`found ${name}=${JSON.stringify(text)}; allowed: 0 to ${max}`);
}

export function badQuery(message: string): ApiError {
  return new ApiError(400, "query-invalid", message);
}
