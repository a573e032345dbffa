// One direction of a simulated line, as fluid: TCP flows, a CAKE shaper, and the line's own deep
// first-in-first-out queue. Download meets the line's queue first, upload the shaper.

import { assert } from "../../kernel/assert.ts";

const SEGMENT_BYTES = 1_448;
const MTU_BYTES = 1_514;
/** CUBIC's constants (RFC 9438, section 4). */
const CUBIC_C = 0.4;
const CUBIC_BETA = 0.7;
/** CAKE's defaults of its AQM (tc-cake(8), rtt 100ms): target and interval. */
const AQM_TARGET_MS = 5;
const AQM_INTERVAL_MS = 100;
const RETRANSMISSION_TIMEOUT_MS = 1_000;
const STEADY_QUEUE_BYTES_MAX = 4 * MTU_BYTES;
/** How far ahead an acknowledgement may lie: path and queues of four seconds at 2 ms a step. */
const ACK_RING_STEPS = 2_048;

export interface LineOptions {
  /** Download: the line's queue comes before our shaper; upload: after it. */
  readonly lineFirst: boolean;
  readonly tcpFlows: number;
  /** Sent at this rate whatever happens, through our shaper: calls, games. */
  readonly steadyKbit: number;
  /** Depth of the line's queue. */
  readonly fifoMs: number;
  readonly stepMs: number;
}

/** Everything is in bytes and milliseconds; flow `tcpFlows` is the steady one, the next one foreign. */
export class SimulatedLine {
  capacityKbit = 0;
  rateKbit = 0;
  /** Traffic of others that shares the line's queue, not our shaper. */
  foreignKbit = 0;
  /** False: the TCP flows have nothing to send. */
  sending = true;
  /** What an interface counter shows: our own bytes on the line. */
  lineBytes = 0;
  shapedBytes = 0;
  shaperDrops = 0;
  /** Bytes that reached the TCP receivers. */
  goodputBytes = 0;

  readonly #options: LineOptions;
  readonly #tcpFlows: number;
  readonly #steady: number;
  readonly #foreign: number;
  readonly #window: Float64Array;
  readonly #inFlight: Float64Array;
  readonly #lineQueue: Float64Array;
  readonly #shaperQueue: Float64Array;
  readonly #slowStart: Uint8Array;
  readonly #windowMax: Float64Array;
  readonly #lossAtMs: Float64Array;
  readonly #ackAtMs: Float64Array;
  readonly #aboveSinceMs: Float64Array;
  readonly #dropCount: Float64Array;
  readonly #nextDropMs: Float64Array;
  /** Dropped bytes still to be taken off what is served: they crossed the line too (tc-cake(8), `ingress`). */
  #droppedBytes = 0;
  /** Acknowledgements under way: step × flow. */
  readonly #acks: Float64Array;
  #lineQueueBytes = 0;
  /** Bytes that ever entered and left the line's queue. */
  #enqueuedBytes = 0;
  #servedBytes = 0;
  #depthKbit = 0;
  #nowMs = 0;

  constructor(options: LineOptions) {
    assert(options.stepMs > 0, "time advances");
    this.#options = options;
    const flows = options.tcpFlows;
    this.#tcpFlows = flows;
    this.#steady = flows;
    this.#foreign = flows + 1;
    this.#window = new Float64Array(flows).fill(10 * SEGMENT_BYTES);
    this.#inFlight = new Float64Array(flows);
    this.#lineQueue = new Float64Array(flows + 2);
    this.#shaperQueue = new Float64Array(flows + 1);
    this.#slowStart = new Uint8Array(flows).fill(1);
    this.#windowMax = new Float64Array(flows).fill(10 * SEGMENT_BYTES);
    this.#lossAtMs = new Float64Array(flows);
    this.#ackAtMs = new Float64Array(flows);
    this.#aboveSinceMs = new Float64Array(flows).fill(-1);
    this.#dropCount = new Float64Array(flows);
    this.#nextDropMs = new Float64Array(flows);
    this.#acks = new Float64Array(flows * ACK_RING_STEPS);
  }

  /** How long a byte that enters the line's queue now would wait, at today's capacity. */
  get queueMs(): number {
    const bytesAMs = this.#depthKbit / 8;
    return bytesAMs === 0 ? 0 : this.#lineQueueBytes / bytesAMs;
  }

  get #shaperQueueMs(): number {
    return (this.shaperBacklogBytes * 8) / Math.max(this.rateKbit, 1);
  }

  /** What the packets take that a probe may find being sent, one by the shaper and one by the line. */
  get packetMs(): number {
    const isBusy = this.shaperBacklogBytes > 0 && this.capacityKbit > 0;
    return isBusy ? 8 * MTU_BYTES * (1 / this.rateKbit + 1 / this.capacityKbit) : 0;
  }

  /** Where a packet stands that enters the line's queue now. */
  get mark(): number {
    return this.#enqueuedBytes;
  }

  /** Whether a packet that entered at `mark` has left. A byte is the sums' rounding. */
  hasServed(mark: number): boolean {
    return this.capacityKbit > 0 && this.#servedBytes + 1 >= mark;
  }

  get lineQueueIsFull(): boolean {
    return this.#lineQueueBytes >= this.#depthBytes - MTU_BYTES;
  }

  get shaperBacklogBytes(): number {
    let sum = 0;
    for (const bytes of this.#shaperQueue) sum += bytes;
    // Below one packet nothing waits: it is being sent.
    return sum < MTU_BYTES ? 0 : Math.round(sum);
  }

  /** One step of time. @param returnMs from delivery to the sender's next bytes: path and the other direction's queue */
  step(nowMs: number, returnMs: number): void {
    this.#nowMs = nowMs;
    if (this.capacityKbit > 0) this.#depthKbit = this.capacityKbit;
    this.#acknowledge(nowMs, returnMs);
    this.#offer();
    if (this.#options.lineFirst) {
      this.#serveLine(returnMs);
      this.#serveShaper(returnMs);
    } else {
      this.#serveShaper(returnMs);
      this.#serveLine(returnMs);
    }
    this.#manageShaperQueue(nowMs);
  }

  get #depthBytes(): number {
    return Math.max((this.#depthKbit * this.#options.fifoMs) / 8, 4 * MTU_BYTES);
  }

  #offer(): void {
    const { stepMs, steadyKbit } = this.#options;
    for (let flow = 0; flow < this.#tcpFlows; flow += 1) {
      const room = this.#window[flow]! - this.#inFlight[flow]!;
      if (!this.sending || room <= 0) continue;
      // A sender paces its window over a few milliseconds rather than in one burst.
      const bytes = Math.min(room, (this.#window[flow]! * stepMs) / 8);
      this.#inFlight[flow]! += bytes;
      this.#enter(flow, bytes);
    }
    // What does not listen is dropped once it waits too long.
    if (steadyKbit > 0 && this.#shaperQueue[this.#steady]! < STEADY_QUEUE_BYTES_MAX) {
      this.#enter(this.#steady, (steadyKbit * stepMs) / 8);
    }
    if (this.foreignKbit > 0) this.#enterLine(this.#foreign, (this.foreignKbit * stepMs) / 8);
  }

  #enter(flow: number, bytes: number): void {
    if (this.#options.lineFirst) this.#enterLine(flow, bytes);
    else this.#shaperQueue[flow]! += bytes;
  }

  #enterLine(flow: number, bytes: number): void {
    const accepted = Math.max(Math.min(bytes, this.#depthBytes - this.#lineQueueBytes), 0);
    this.#lineQueue[flow]! += accepted;
    this.#lineQueueBytes += accepted;
    this.#enqueuedBytes += accepted;
    if (!this.#options.lineFirst && flow !== this.#foreign) this.lineBytes += bytes;
    if (accepted < bytes && flow < this.#tcpFlows) {
      this.#inFlight[flow]! -= bytes - accepted;
      this.#lose(flow, this.#nowMs);
    }
  }

  #serveLine(returnMs: number): void {
    const budget = (this.capacityKbit * this.#options.stepMs) / 8;
    const served = Math.min(budget, this.#lineQueueBytes);
    if (served <= 0) return;
    const share = served / this.#lineQueueBytes;
    for (let flow = 0; flow < this.#lineQueue.length; flow += 1) {
      const bytes = this.#lineQueue[flow]! * share;
      this.#lineQueue[flow]! -= bytes;
      if (flow === this.#foreign || bytes === 0) continue;
      if (this.#options.lineFirst) {
        this.lineBytes += bytes;
        this.#shaperQueue[flow]! += bytes;
      } else {
        this.#deliver(flow, bytes, returnMs);
      }
    }
    this.#lineQueueBytes = Math.max(this.#lineQueueBytes - served, 0);
    this.#servedBytes += served;
  }

  /** Fair shares among the flows that wait; what one leaves over goes to the others. */
  #serveShaper(returnMs: number): void {
    let budget = (this.rateKbit * this.#options.stepMs) / 8;
    const spent = Math.min(this.#droppedBytes, budget / 2);
    this.#droppedBytes -= spent;
    budget -= spent;
    for (let round = 0; round < 3 && budget > 1; round += 1) {
      let waiting = 0;
      for (const bytes of this.#shaperQueue) if (bytes > 0) waiting += 1;
      if (waiting === 0) return;
      const share = budget / waiting;
      for (let flow = 0; flow < this.#shaperQueue.length; flow += 1) {
        const bytes = Math.min(this.#shaperQueue[flow]!, share);
        if (bytes <= 0) continue;
        this.#shaperQueue[flow]! -= bytes;
        this.shapedBytes += bytes;
        budget -= bytes;
        if (this.#options.lineFirst) this.#deliver(flow, bytes, returnMs);
        else this.#enterLine(flow, bytes);
      }
    }
  }

  #deliver(flow: number, bytes: number, returnMs: number): void {
    if (flow >= this.#tcpFlows) return;
    this.goodputBytes += bytes;
    const { stepMs } = this.#options;
    const ahead = Math.min(Math.max(Math.round(returnMs / stepMs), 1), ACK_RING_STEPS - 1);
    const slot = (Math.round(this.#nowMs / stepMs) + ahead) % ACK_RING_STEPS;
    this.#acks[slot * this.#tcpFlows + flow]! += bytes;
  }

  #acknowledge(nowMs: number, returnMs: number): void {
    const slot = Math.round(nowMs / this.#options.stepMs) % ACK_RING_STEPS;
    for (let flow = 0; flow < this.#tcpFlows; flow += 1) {
      const at = slot * this.#tcpFlows + flow;
      const bytes = this.#acks[at]!;
      this.#acks[at] = 0;
      if (bytes > 0) {
        this.#inFlight[flow] = Math.max(this.#inFlight[flow]! - bytes, 0);
        this.#ackAtMs[flow] = nowMs;
        this.#grow(flow, bytes, nowMs, returnMs);
      } else if (
        this.#inFlight[flow]! > SEGMENT_BYTES &&
        nowMs - this.#ackAtMs[flow]! > RETRANSMISSION_TIMEOUT_MS
      ) {
        this.#ackAtMs[flow] = nowMs;
        this.#window[flow] = 2 * SEGMENT_BYTES;
        this.#slowStart[flow] = 1;
      }
    }
  }

  #grow(flow: number, ackedBytes: number, nowMs: number, returnMs: number): void {
    const window = this.#window[flow]!;
    // A sender that does not use its window does not widen it.
    if (this.#inFlight[flow]! + ackedBytes < window / 2) return;
    if (this.#slowStart[flow] === 1) {
      this.#window[flow] = window + ackedBytes;
      // HyStart (RFC 9406): leave slow start when the RTT has grown by an eighth.
      if (this.queueMs > Math.max(4, returnMs / 8)) this.#leaveSlowStart(flow, nowMs);
      return;
    }
    const maxSegments = this.#windowMax[flow]! / SEGMENT_BYTES;
    const sinceSeconds = (nowMs - this.#lossAtMs[flow]!) / 1_000;
    const plateauSeconds = Math.cbrt((maxSegments * (1 - CUBIC_BETA)) / CUBIC_C);
    const cubic = CUBIC_C * (sinceSeconds - plateauSeconds) ** 3 + maxSegments;
    const rttSeconds = (returnMs + this.queueMs + this.#shaperQueueMs) / 1_000;
    const friendly = maxSegments * CUBIC_BETA + 0.53 * (sinceSeconds / rttSeconds);
    const target = Math.max(cubic, friendly) * SEGMENT_BYTES;
    // At most half as much again each round trip.
    this.#window[flow] = Math.max(window, Math.min(target, window + ackedBytes / 2));
  }

  #leaveSlowStart(flow: number, nowMs: number): void {
    this.#slowStart[flow] = 0;
    this.#windowMax[flow] = this.#window[flow]!;
    this.#lossAtMs[flow] = nowMs;
  }

  #lose(flow: number, nowMs: number): void {
    const onceMs = 30;
    if (nowMs - this.#lossAtMs[flow]! < onceMs) return;
    this.#windowMax[flow] = this.#window[flow]!;
    this.#window[flow] = Math.max(this.#window[flow]! * CUBIC_BETA, 2 * SEGMENT_BYTES);
    this.#slowStart[flow] = 0;
    this.#lossAtMs[flow] = nowMs;
  }

  /** CoDel's law for each flow (RFC 8289): above target for an interval, drop ever more often. */
  #manageShaperQueue(nowMs: number): void {
    const bytesAMs = this.rateKbit / 8;
    let waiting = 0;
    for (const bytes of this.#shaperQueue) if (bytes > 0) waiting += 1;
    for (let flow = 0; flow < this.#tcpFlows; flow += 1) {
      const sojournMs = (this.#shaperQueue[flow]! * Math.max(waiting, 1)) / bytesAMs;
      const targetMs = Math.max(AQM_TARGET_MS, (1.5 * MTU_BYTES * waiting) / bytesAMs);
      if (sojournMs < targetMs || this.#shaperQueue[flow]! < MTU_BYTES) {
        this.#aboveSinceMs[flow] = -1;
        this.#dropCount[flow] = Math.max(this.#dropCount[flow]! - 0.02, 0);
      } else if (this.#aboveSinceMs[flow]! < 0) {
        this.#aboveSinceMs[flow] = nowMs;
        this.#nextDropMs[flow] = nowMs + AQM_INTERVAL_MS;
      } else if (nowMs >= this.#nextDropMs[flow]!) {
        this.#dropCount[flow]! += 1;
        this.#nextDropMs[flow] = nowMs + AQM_INTERVAL_MS / Math.sqrt(this.#dropCount[flow]!);
        this.shaperDrops += 1;
        if (this.#options.lineFirst) this.#droppedBytes += MTU_BYTES;
        this.#shaperQueue[flow]! -= MTU_BYTES;
        this.#inFlight[flow] = Math.max(this.#inFlight[flow]! - MTU_BYTES, 0);
        this.#lose(flow, nowMs);
      }
    }
  }
}
