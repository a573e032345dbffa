// Children with a list of those that run, so that what they use can be counted as ours.

import type { Child, ChildCommand, ChildEvents, Children, RunResult } from "./ports.ts";

export class ChildRoster implements Children {
  readonly #children: Children;
  readonly #running = new Set<Child>();

  constructor(children: Children) {
    this.#children = children;
  }

  get pids(): readonly number[] {
    return Array.from(this.#running, ({ pid }) => pid).filter((pid) => pid !== null);
  }

  start(command: ChildCommand, events: ChildEvents): Child {
    let child: Child | null = null;
    let ended = false;
    child = this.#children.start(command, {
      ...events,
      onExit: (how) => {
        ended = true;
        if (child !== null) this.#running.delete(child);
        events.onExit(how);
      },
    });
    if (!ended) this.#running.add(child);
    return child;
  }

  run(
    program: string,
    args: readonly string[],
    options?: { readonly input?: string; readonly timeoutMs?: number },
  ): Promise<RunResult> {
    return this.#children.run(program, args, options);
  }
}
