// What the daemon offers on the bus: objects, their methods, and what each takes. ubusd checks no
// arguments, so that every call is checked here.

import { didYouMean, foundAndAllowed } from "../../schema/problem.ts";
import { BLOBMSG, type BlobTable } from "./blobmsg.ts";

/** The type of an argument, as `ubus -v list` shows it. */
export type ArgumentType = "string" | "number";
/** Those that were given. */
export type UbusArguments = Readonly<Record<string, string | number>>;

export interface UbusMethod {
  /** All may be left out as far as ubus goes; the method says what it needs. */
  readonly takes: Readonly<Record<string, ArgumentType>>;
  /**
   * Plain data. At once, where nothing has to be waited for.
   * @throws UbusRefusal
   */
  answer(given: UbusArguments): object | Promise<object>;
}

export interface UbusObject {
  /** Such as myco.policy. */
  readonly path: string;
  readonly methods: Readonly<Record<string, UbusMethod>>;
}

/** A call that is refused: the status that ubus knows, and in words why. */
export class UbusRefusal extends Error {
  override readonly name = "UbusRefusal";
  readonly code = "ERR_UBUS_REFUSAL";
  readonly status: number;
  /** Sent before the status, as `{"error": …}`. */
  readonly answer: object;

  constructor(status: number, answer: object) {
    super("the call is refused");
    this.status = status;
    this.answer = answer;
  }
}

const ARGUMENT_TYPES: Readonly<Record<ArgumentType, number>> = {
  string: BLOBMSG.string,
  number: BLOBMSG.int32,
};

/** uhttpd and rpcd add it to what a browser calls. */
const SESSION_ARGUMENT = "ubus_rpc_session";

/** What ubusd tells those who ask how to call an object. */
export function signatureOf({ methods }: UbusObject): object {
  return Object.fromEntries(
    Object.entries(methods).map(([name, { takes }]) => [
      name,
      Object.fromEntries(
        Object.entries(takes).map(([argument, type]) => [argument, ARGUMENT_TYPES[type]]),
      ),
    ]),
  );
}

/** The arguments of a call, or what is wrong with them in words. Ranges are the method's own matter. */
export function readArguments(
  { takes }: UbusMethod,
  data: BlobTable,
): { readonly given: UbusArguments } | { readonly problem: string } {
  const given: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(data)) {
    if (name === SESSION_ARGUMENT) continue;
    const type = Object.hasOwn(takes, name) ? takes[name] : undefined;
    if (type === undefined) return { problem: unknownArgument(name, Object.keys(takes)) };
    if (typeof value !== type) {
      return { problem: `${name}: ${foundAndAllowed(value, `a ${type}`)}` };
    }
    given[name] = value as string | number;
  }
  return { given };
}

function unknownArgument(name: string, known: readonly string[]): string {
  const allowed = known.length === 0 ? "none" : known.join(", ");
  const found = foundAndAllowed(name, allowed) + didYouMean(name, known);
  return `no such argument: ${found}`;
}
