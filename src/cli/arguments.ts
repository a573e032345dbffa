// Turns words of the command line into values, or says what is allowed instead.

import { InvalidArgumentError } from "commander";
import type { Endpoint } from "../kernel/ports.ts";
import { ROLES, type Role } from "../net/certificate.ts";
import { canonicalEndpoint, isDialable, parseEndpoint } from "../schema/endpoint.ts";
import { didYouMean } from "../schema/problem.ts";
import { HOST_LABEL } from "../schema/text-rules.ts";
import { parseDurationMs } from "../schema/units.ts";

/** A whole number between the two, both included. */
export function integerBetween(min: number, max: number): (word: string) => number {
  return (word) => {
    const value = /^[0-9]{1,9}$/.test(word) ? Number(word) : Number.NaN;
    if (value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Allowed: a whole number from ${min} to ${max}.`);
  };
}

/** One of a few words. */
export function oneOf<Word extends string>(words: readonly Word[]): (word: string) => Word {
  return (word) => {
    const found = words.find((each) => each === word);
    if (found !== undefined) return found;
    throw new InvalidArgumentError(`Allowed: ${words.join(", ")}${didYouMean(word, words)}`);
  };
}

/** Collects an option that may be given several times: where other nodes are reached. */
export function peer(word: string, previous: readonly Endpoint[] = []): Endpoint[] {
  const address = parseEndpoint(word);
  if (address !== null && isDialable(address)) return [...previous, canonicalEndpoint(word)!];
  throw new InvalidArgumentError(
    "Allowed: an address and a port, such as 192.0.2.1:7946 or [2001:db8::1]:7946.",
  );
}

/** Collects an option that may be given several times: where this node listens. */
export function listenAddress(word: string, previous: readonly Endpoint[] = []): Endpoint[] {
  const endpoint = canonicalEndpoint(word);
  if (endpoint !== null) return [...previous, endpoint];
  throw new InvalidArgumentError(
    "Allowed: an address and a port, such as 0.0.0.0:7946 or [::]:7946.",
  );
}

/** `member,deployer` as the bits of a certificate. */
export function roles(word: string): number {
  const names = Object.keys(ROLES);
  const found = word.split(",").reduce((bits, name) => {
    if (names.includes(name)) return bits | ROLES[name as Role];
    throw new InvalidArgumentError(`Allowed: one or more of ${names.join(",")}.`);
  }, 0);
  if ((found & ROLES.member) !== 0) return found;
  throw new InvalidArgumentError("Every node is a member: the roles begin with member.");
}

export function hostname(word: string): string {
  if (HOST_LABEL.test(word)) return word;
  throw new InvalidArgumentError(
    "Allowed: at most 63 lower-case letters, digits and hyphens, neither first nor last a hyphen.",
  );
}

export function durationMs(word: string): number {
  const value = parseDurationMs(word);
  if (value !== null && value > 0) return value;
  throw new InvalidArgumentError("Allowed: a duration with its unit, such as 60s or 5m.");
}

/** 32 bytes as 64 lower-case hex digits. */
export function publicKeyHex(word: string): string {
  if (/^[0-9a-f]{64}$/.test(word)) return word;
  throw new InvalidArgumentError(
    "Allowed: the 64 hex digits that `myco cluster join --request` prints.",
  );
}
