// The flight recorder: the last events of the daemon in one ring of fixed size, to be read
// after a crash. Lines of JSON, so that nothing but a text editor is needed.

import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  FLIGHT_EVENT_BYTES_MAX,
  FLIGHT_FILES_MAX,
  FLIGHT_RECORDER_BYTES,
} from "../kernel/limits.ts";

const NEWLINE = 0x0a;
const FILE_NAME = /^flight-[0-9TZ-]+\.ndjson$/;

export class FlightRecorder {
  readonly #ring: Buffer;
  readonly #line = Buffer.allocUnsafeSlow(FLIGHT_EVENT_BYTES_MAX);
  /** Where the next line goes. */
  #offset = 0;
  /** Whether older lines lie behind the offset. */
  #wrapped = false;

  /** @param sizeBytes the ring, taken once; more than one event */
  constructor(sizeBytes: number = FLIGHT_RECORDER_BYTES) {
    this.#ring = Buffer.alloc(sizeBytes);
  }

  /**
   * Adds one event; the oldest make room. An event above FLIGHT_EVENT_BYTES_MAX keeps only
   * its time and kind.
   */
  record(atMs: number, kind: string, fields: object = {}): void {
    const head = { at: new Date(atMs).toISOString(), kind };
    const whole = `${JSON.stringify({ ...head, ...fields })}\n`;
    const fits = Buffer.byteLength(whole) <= FLIGHT_EVENT_BYTES_MAX;
    const text = fits ? whole : `${JSON.stringify({ ...head, cut: true })}\n`;
    this.#append(this.#line.subarray(0, this.#line.write(text)));
  }

  /** All whole lines, oldest first: a copy of at most the ring's size. */
  read(): Buffer {
    const newer = this.#ring.subarray(0, this.#offset);
    if (!this.#wrapped) return Buffer.from(newer);
    const older = this.#ring.subarray(this.#offset);
    // The oldest line is overwritten in part; the first whole one begins after its end, which
    // may lie across the ring's edge.
    const cut = older.indexOf(NEWLINE);
    if (cut >= 0) return Buffer.concat([older.subarray(cut + 1), newer]);
    return Buffer.from(newer.subarray(newer.indexOf(NEWLINE) + 1));
  }

  /**
   * Writes `folder/flight-TIME.ndjson` at once, and removes the oldest recordings beyond
   * FLIGHT_FILES_MAX.
   * @returns the file's path
   */
  writeFile(folder: string, atMs: number): string {
    const time = new Date(atMs).toISOString().replaceAll(/[:.]/g, "-");
    const file = join(folder, `flight-${time}.ndjson`);
    writeFileSync(file, this.read(), { mode: 0o600 });
    const files = readdirSync(folder).filter((name) => FILE_NAME.test(name));
    for (const name of files.sort().slice(0, -FLIGHT_FILES_MAX)) {
      rmSync(join(folder, name), { force: true });
    }
    return file;
  }

  #append(line: Buffer): void {
    const room = this.#ring.length - this.#offset;
    line.copy(this.#ring, this.#offset, 0, room);
    if (line.length >= room) {
      line.copy(this.#ring, 0, room);
      this.#wrapped = true;
    }
    this.#offset = (this.#offset + line.length) % this.#ring.length;
  }
}
