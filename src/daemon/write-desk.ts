// Writes that come in through the API: given to the replica, then waited for until the disk
// has them or has refused. Only then is anybody told.

import type { WriteOutcome } from "../api/backend.ts";
import type { ReplicaInterface, WriteAnswer } from "../node/interface.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { ServiceSpec } from "../schema/service.ts";

type WritableReplica = Pick<
  ReplicaInterface,
  "putService" | "deleteService" | "setDrained" | "offerRecord" | "onWriteSettled" | "service"
>;

export class WriteDesk {
  readonly #replica: WritableReplica;
  readonly #flush: () => void;
  readonly #nowMs: () => number;
  /** By sequence number. The replica bounds how many there are. */
  readonly #waiting = new Map<number, (written: boolean) => void>();

  /**
   * Takes over the replica's `onWriteSettled`.
   * @param flush starts writing at once what was appended to the log
   */
  constructor(replica: WritableReplica, flush: () => void, nowMs: () => number) {
    this.#replica = replica;
    this.#flush = flush;
    this.#nowMs = nowMs;
    replica.onWriteSettled = (sequence, ok) => this.#settled(sequence, ok);
  }

  put(spec: ServiceSpec): Promise<WriteOutcome> {
    return this.#wait(this.#replica.putService(spec, this.#nowMs()), spec.name);
  }

  delete(name: string): Promise<WriteOutcome> {
    return this.#wait(this.#replica.deleteService(name, this.#nowMs()), null);
  }

  setDrained(nodeId: NodeId, drained: boolean): Promise<WriteOutcome> {
    return this.#wait(this.#replica.setDrained(nodeId, drained, this.#nowMs()), null);
  }

  /** @param service the name of the service the record deploys, or null when it deploys none */
  offer(record: Uint8Array, service: string | null): Promise<WriteOutcome> {
    return this.#wait(this.#replica.offerRecord(record, this.#nowMs()), service);
  }

  async #wait(answer: WriteAnswer, service: string | null): Promise<WriteOutcome> {
    if (!answer.ok) return answer;
    const { sequence, key, stamp } = answer;
    const settled = new Promise<boolean>((resolve) => this.#waiting.set(sequence, resolve));
    this.#flush();
    if (!(await settled)) return { ok: false, reason: "log-failed" };
    const view = service === null ? null : this.#replica.service(service);
    return { ok: true, key, stamp, generation: view?.stamp === stamp ? view.generation : 0 };
  }

  #settled(sequence: number, written: boolean): void {
    this.#waiting.get(sequence)?.(written);
    this.#waiting.delete(sequence);
  }
}
