// The line's plane in the demo: the loop on a simulated line that slows down to a quarter and
// recovers, again and again.

import { setTimeout as sleep } from "node:timers/promises";
import type { FlowAnswer } from "../src/api/contract.ts";
import { chartLines, formatRate } from "../src/cli/flow-picture.ts";
import { Presenter } from "../src/cli/presenter.ts";
import type { FlowHistoryPoint } from "../src/flow/status.ts";
import type { LocalNode } from "./local-node.ts";

const MAX_KBIT = 40_000;
/** What the simulated line has left when it is slow. */
const SLOW_SHARE = 1 / 4;
/** Near enough to full speed, and to a quarter of it. */
const FULL_KBIT = 0.85 * MAX_KBIT;
const CUT_KBIT = 1.1 * SLOW_SHARE * MAX_KBIT;
const POLL_MS = 500;
const TURN_MS_MAX = 90_000;
const BLOATED_MS = 30;

/** For the configuration of the daemon that shows it. */
export const FLOW_CONFIGURATION = `flow:
  enabled: true
  mode: dummy
  download: { min: 2000, base: 20000, max: ${MAX_KBIT} }
  upload: { min: 500, base: 5000, max: 10000 }
`;

/** The loop's way through one slow spell of the line. */
interface Turn {
  fullKbit: number;
  cutKbit: number;
  backKbit: number;
}

export class FlowStory {
  readonly #node: LocalNode;
  readonly #presenter = new Presenter(process.stdout, process.stderr, !process.env.NO_COLOR);

  /** @param node runs with FLOW_CONFIGURATION */
  constructor(node: LocalNode) {
    this.#node = node;
  }

  /** Waits until the loop has cut the rate on a drop and raised it again. @returns how that went */
  async turn(): Promise<string> {
    const endMs = performance.now() + TURN_MS_MAX;
    const turn: Turn = { fullKbit: 0, cutKbit: 0, backKbit: 0 };
    while (turn.backKbit === 0) {
      if (performance.now() > endMs) throw new Error(`the loop did not come back: ${told(turn)}`);
      await sleep(POLL_MS);
      const flow = await this.#node.flow();
      if (flow === null)
        throw new Error(`the flow plane of ${this.#node.hostname} does not answer`);
      advance(turn, flow.download.shaperKbit ?? 0);
    }
    const { history = [] } = (await this.#node.flow()) ?? {};
    const bloated = history.filter(isBloated).length;
    return `${told(turn)}; delay above +${BLOATED_MS} ms in ${bloated} of ${history.length} s`;
  }

  /** Draws the line until `ended`; only on a terminal. */
  async draw(ended: Promise<unknown>): Promise<void> {
    if (!this.#presenter.isInteractive) return;
    let goesOn = true;
    void ended.then(() => {
      goesOn = false;
    });
    while (goesOn) {
      const flow = await this.#node.flow();
      if (flow !== null) this.#presenter.redraw(this.#picture(flow));
      await Promise.race([sleep(POLL_MS), ended]);
    }
  }

  #picture(status: FlowAnswer): string[] {
    const { columns } = this.#presenter;
    const paint = this.#presenter.paint.bind(this.#presenter);
    return chartLines({ status, flows: [], charts: true, columns, paint });
  }
}

function advance(turn: Turn, shaperKbit: number): void {
  if (turn.cutKbit === 0) {
    if (shaperKbit >= FULL_KBIT) turn.fullKbit = Math.max(turn.fullKbit, shaperKbit);
    else if (turn.fullKbit > 0 && shaperKbit <= CUT_KBIT) turn.cutKbit = shaperKbit;
  } else if (shaperKbit >= FULL_KBIT) {
    turn.backKbit = shaperKbit;
  }
}

function told({ fullKbit, cutKbit, backKbit }: Turn): string {
  if (fullKbit === 0) return "full speed was never reached";
  if (cutKbit === 0) return `${formatRate(fullKbit)}, not cut`;
  const cut = `cut from ${formatRate(fullKbit)} to ${formatRate(cutKbit)} as the line slowed down`;
  return backKbit === 0 ? cut : `${cut}, back to ${formatRate(backKbit)} as it recovered`;
}

function isBloated({ increaseMs }: FlowHistoryPoint): boolean {
  return increaseMs !== null && increaseMs > BLOATED_MS;
}
