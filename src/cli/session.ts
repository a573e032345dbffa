// What every command is given: where to print, the environment, and the parts of the program
// that only some of them load.

import type { Command } from "commander";
import type { Crypto } from "../kernel/ports.ts";
import type { DaemonClient } from "./daemon-client.ts";
import { type Environment, type GlobalOptions, socketOf } from "./locations.ts";
import { Presenter, type TextSink } from "./presenter.ts";

/** The process around the command; a test brings its own. */
export interface World {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  readonly stdin: AsyncIterable<Uint8Array | string> & { readonly isTTY?: boolean | undefined };
  readonly env: Environment;
  /** Where relative paths start. */
  readonly cwd: string;
}

/** Registers a command. `run` tells how the process is to end. */
export type AddCommand = (parent: Command, session: Session, run: RunAction) => void;

/** Wraps what a command does, so that its exit code arrives. */
export type RunAction = <Args extends unknown[]>(
  action: (...args: Args) => Promise<number>,
) => (...args: Args) => Promise<void>;

export class Session {
  readonly world: World;
  readonly presenter: Presenter;
  readonly #globalOptions: () => GlobalOptions;

  /** @param globalOptions known once the command line is parsed */
  constructor(world: World, globalOptions: () => GlobalOptions) {
    this.world = world;
    this.presenter = new Presenter(world.stdout, world.stderr, !world.env.NO_COLOR);
    this.#globalOptions = globalOptions;
  }

  get globalOptions(): GlobalOptions {
    return this.#globalOptions();
  }

  async client(): Promise<DaemonClient> {
    const { DaemonClient } = await import("./daemon-client.ts");
    return new DaemonClient(await socketOf(this.globalOptions, this.world));
  }

  async crypto(): Promise<Crypto> {
    const { NodeCrypto } = await import("../io/crypto.ts");
    return new NodeCrypto();
  }
}
