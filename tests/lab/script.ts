// What a lab script is: a TypeScript file whose default export names its machines and tests them.

import type { Machine } from "./machine.ts";
import type { GuestClock } from "./qemu.ts";

export interface MachineOptions {
  /** Virtual LANs it is plugged into; none by default. */
  readonly vlans?: readonly number[];
  /** Default 2. */
  readonly cpus?: number;
  /** Default 1500. */
  readonly memoryMiB?: number;
  /** Default "host". */
  readonly clock?: GuestClock;
}

export interface LabContext<Name extends string = string> {
  readonly machines: Readonly<Record<Name, Machine>>;
  /** Boots every machine that is off, all at once, and waits until they take commands. */
  startAll(): Promise<void>;
  /** One counted test. What it throws ends the script. */
  subtest<Result>(name: string, test: () => Promise<Result>): Promise<Result>;
  /** Like `subtest`, but the script goes on after a failure, which fails it in the end. */
  trial(name: string, test: () => Promise<void>): Promise<void>;
  /** Ends the script as skipped. */
  skip(reason: string): never;
  /** A line for whoever reads the run, such as a figure. */
  note(line: string): void;
}

export interface LabScript<Name extends string = string> {
  /** One line for `--list`. */
  readonly title: string;
  readonly machines: Readonly<Record<Name, MachineOptions>>;
  /** Puts dist/myco.mjs into each machine, to be started as `myco`. */
  readonly myco?: boolean;
  /**
   * The machines may have run other scripts before, and will run more: the script cleans up what it
   * finds. Scripts that say so and name the same machines share one boot.
   */
  readonly reuse?: boolean;
  /** How long the test may take after the boot; 600 by default. */
  readonly limitSeconds?: number;
  test(lab: LabContext<Name>): Promise<void>;
}

/** Checks a script's types where it is written. */
export function labScript<Name extends string>(script: LabScript<Name>): LabScript<Name> {
  return script;
}
