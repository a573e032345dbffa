// The marks of flows: which code point each recognised flow has, told to nftables in small batches.
// A connection keeps its mark by itself, so that a flow is named here for a few minutes only.

import {
  MARK_BATCH_EVERY_MS,
  MARK_CHANGES_PER_BATCH,
  MARK_CHECK_EVERY_MS,
  MARKED_FLOW_MS,
  MARKED_FLOWS_MAX,
  SET_UP_COMMAND_MS_MAX,
  TAP_OLDER_FLOWS_MS,
} from "../../kernel/limits.ts";
import type { Random } from "../../kernel/ports.ts";
import { connectionText } from "../flow-key.ts";
import type { FlowKey } from "../interface.ts";
import type { Children } from "../ports.ts";
import { RestartBackoff } from "../sense/restart-backoff.ts";
import type { FlowNotice } from "../status.ts";
import {
  addition,
  canBeMarked,
  deletion,
  OLDER_FLOWS_DRAW,
  probesText,
  REMOVAL,
  tableText,
} from "./marks-table.ts";
import { NFT_TABLE } from "./ours.ts";
import type { DscpName } from "./policy.ts";
import { explainSetUpFailure, type SetUpFailure } from "./set-up-failure.ts";

export interface MarksOptions {
  readonly children: Children;
  readonly random: Random;
  readonly onNotice: (notice: FlowNotice) => void;
  /** The line's interface. */
  readonly device: string;
  /** First packets of flows are to go to the tap. */
  readonly wantsTap: boolean;
  /** The table was made; `taps` tells whether first packets come by nflog. */
  readonly onInstalled: (taps: boolean) => void;
}

/** A flow that is named in the kernel, or shall be. */
interface MarkedFlow {
  readonly key: FlowKey;
  dscp: DscpName;
  /** What the kernel has; null: nothing yet. */
  told: DscpName | null;
  sinceMs: number;
}

export class Marks {
  readonly #options: MarksOptions;
  readonly #backoff: RestartBackoff;
  /** By connection, the longest named first. */
  readonly #flows = new Map<string, MarkedFlow>();
  /** Those whose code point the kernel does not have yet. */
  readonly #changed = new Set<MarkedFlow>();
  /** Named in the kernel and to be named no more. */
  #leaving: FlowKey[] = [];
  #probes: readonly (readonly [string, DscpName])[] = [];
  #probesChanged = false;
  #installed = false;
  #busy = false;
  #stopped = false;
  #batchAtMs = 0;
  #checkAtMs = 0;
  /** When to make the table again; null: it stands. */
  #retryAtMs: number | null = 0;
  /** When flows that are older than the table need no longer all be heard; null: they are not. */
  #drawAtMs: number | null = null;
  /** The call of nft under way: the next one waits for it, so that a removal comes last. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: MarksOptions) {
    this.#options = options;
    this.#backoff = new RestartBackoff(options.random);
  }

  /** Flows named in the kernel. */
  get size(): number {
    return this.#flows.size;
  }

  /** The table stands. */
  get installed(): boolean {
    return this.#installed;
  }

  /** From now on probes of these addresses have these code points. */
  setProbes(probes: readonly (readonly [address: string, DscpName])[]): void {
    this.#probes = probes;
    this.#probesChanged = true;
  }

  /** From now on the flow's packets have this code point, both ways. Flows without ports stay as they are. */
  set(key: FlowKey, dscp: DscpName, nowMs: number): void {
    if (!canBeMarked(key)) return;
    const text = connectionText(key);
    let flow = this.#flows.get(text);
    if (flow === undefined) {
      // Best Effort is what a connection has from its first packet.
      if (dscp === "cs0") return;
      if (this.#flows.size >= MARKED_FLOWS_MAX) this.#dropOldest();
      flow = { key: { ...key }, dscp, told: null, sinceMs: nowMs };
    } else {
      this.#flows.delete(text);
      flow.dscp = dscp;
      flow.sinceMs = nowMs;
    }
    this.#flows.set(text, flow);
    if (flow.told === dscp) this.#changed.delete(flow);
    else this.#changed.add(flow);
  }

  /** Once a tick: makes the table where it is missing, and tells the kernel what changed. */
  tick(nowMs: number): void {
    if (this.#busy || this.#stopped) return;
    if (this.#retryAtMs !== null) {
      if (nowMs >= this.#retryAtMs) void this.#install(nowMs);
      return;
    }
    if (nowMs - this.#batchAtMs < MARK_BATCH_EVERY_MS) return;
    this.#batchAtMs = nowMs;
    this.#dropExpired(nowMs);
    const batch = this.#takeBatch(nowMs);
    if (batch !== "") void this.#send(batch, nowMs);
    else if (nowMs - this.#checkAtMs >= MARK_CHECK_EVERY_MS) void this.#check(nowMs);
  }

  /** Takes the table away. @returns what went wrong, for people; null: nothing */
  async remove(): Promise<string | null> {
    this.#stopped = true;
    this.#installed = false;
    const failure = await this.#nft(REMOVAL);
    return failure?.message ?? null;
  }

  async #install(nowMs: number): Promise<void> {
    this.#busy = true;
    const { device, wantsTap, onInstalled, onNotice } = this.#options;
    let taps = wantsTap;
    let failure = await this.#nft(tableText(device, taps));
    if (failure?.code === "COMMAND_FAILED" && taps && !this.#stopped) {
      // The kernel may lack only what hands packets over.
      taps = false;
      const first = failure;
      failure = await this.#nft(tableText(device, taps));
      if (failure === null) {
        onNotice({ level: "warn", code: "no-nflog", message: noTapMessage(first.message) });
      }
    }
    this.#busy = false;
    this.#checkAtMs = nowMs;
    if (this.#stopped) return;
    this.#installed = failure === null;
    if (failure !== null) {
      onNotice({ level: "error", code: failure.code, message: failure.message });
      this.#retryAtMs = nowMs + this.#backoff.nextWaitMs(0);
      return;
    }
    this.#retryAtMs = null;
    this.#drawAtMs = taps ? nowMs + TAP_OLDER_FLOWS_MS : null;
    this.#forgetTold();
    onInstalled(taps);
  }

  /** The kernel's table is new and empty. */
  #forgetTold(): void {
    this.#leaving = [];
    this.#probesChanged = this.#probes.length > 0;
    for (const flow of this.#flows.values()) {
      flow.told = null;
      this.#changed.add(flow);
    }
  }

  #takeBatch(nowMs: number): string {
    let batch = "";
    if (this.#drawAtMs !== null && nowMs >= this.#drawAtMs) {
      batch += OLDER_FLOWS_DRAW;
      this.#drawAtMs = null;
    }
    let room = MARK_CHANGES_PER_BATCH;
    if (this.#probesChanged) batch += probesText(this.#probes);
    this.#probesChanged = false;
    for (const key of this.#leaving.splice(0, room)) {
      batch += deletion(key);
      room -= 1;
    }
    for (const flow of this.#changed) {
      if (room <= 0) break;
      room -= 1;
      if (flow.told !== null) batch += deletion(flow.key);
      batch += addition(flow.key, flow.dscp);
      flow.told = flow.dscp;
      this.#changed.delete(flow);
    }
    return batch;
  }

  async #send(batch: string, nowMs: number): Promise<void> {
    this.#busy = true;
    const failure = await this.#nft(batch);
    this.#busy = false;
    this.#checkAtMs = nowMs;
    if (failure !== null) this.#makeAgain(failure.message);
  }

  /** Somebody may have flushed the whole ruleset, as `nft flush ruleset` does. */
  async #check(nowMs: number): Promise<void> {
    this.#busy = true;
    this.#checkAtMs = nowMs;
    const failure = await this.#nft(`list chain ${NFT_TABLE} tap\n`);
    this.#busy = false;
    if (failure !== null) this.#makeAgain(failure.message);
  }

  #makeAgain(reason: string): void {
    if (this.#stopped) return;
    this.#options.onNotice({
      level: "warn",
      code: "marks-lost",
      message: `The table ${NFT_TABLE} is not as it was left, and is made again: ${reason}`,
    });
    this.#installed = false;
    this.#retryAtMs = 0;
  }

  #nft(text: string): Promise<SetUpFailure | null> {
    const done = this.#turn.then(() => this.#run(text));
    this.#turn = done;
    return done;
  }

  async #run(text: string): Promise<SetUpFailure | null> {
    const options = { input: text, timeoutMs: SET_UP_COMMAND_MS_MAX };
    const result = await this.#options.children.run("nft", ["-f", "-"], options);
    return result.exitCode === 0 ? null : explainSetUpFailure("nft", "-f -", result);
  }

  #dropExpired(nowMs: number): void {
    for (const [text, flow] of this.#flows) {
      if (nowMs - flow.sinceMs < MARKED_FLOW_MS) return;
      this.#drop(text, flow);
    }
  }

  #dropOldest(): void {
    for (const [text, flow] of this.#flows) {
      this.#drop(text, flow);
      return;
    }
  }

  #drop(text: string, flow: MarkedFlow): void {
    this.#flows.delete(text);
    this.#changed.delete(flow);
    if (flow.told !== null) this.#leaving.push(flow.key);
  }
}

function noTapMessage(reason: string): string {
  return (
    "Flows are marked, but their first packets do not come by nflog. " +
    `On OpenWrt install kmod-nfnetlink-log. nft said: ${reason}`
  );
}
