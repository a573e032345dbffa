// The program's only event loop: the mesh's sockets, the log's disk and the tick, opened
// together and closed together. What to do with a datagram or a tick is decided elsewhere.

import type { Endpoint } from "../kernel/ports.ts";
import { SystemClock } from "./clock.ts";
import { LogFile } from "./log-file.ts";
import { Ticker } from "./ticker.ts";
import { UdpSockets } from "./udp.ts";

export interface IoEngineOptions {
  /** Locked while open; holds the log. Made where missing. */
  readonly dataDir: string;
  readonly listen: readonly Endpoint[];
  readonly tickMs: number;
  readonly clock?: SystemClock;
}

/** What is told of the outside. Neither may keep the bytes. */
export interface IoEngineEvents {
  readonly onDatagram: (datagram: Uint8Array, from: Endpoint, nowMs: number) => void;
  readonly onTick: (nowMs: number) => void;
}

export class IoEngine {
  readonly clock: SystemClock;
  readonly logFile: LogFile;
  readonly udp: UdpSockets;
  readonly ticker: Ticker;

  /**
   * Takes the data folder and the sockets. Datagrams that come before `start` are dropped.
   * @throws DataLockError, ListenError, or a system error of the disk
   */
  static async open(options: IoEngineOptions): Promise<IoEngine> {
    const logFile = LogFile.open(options.dataDir);
    try {
      const udp = await UdpSockets.open(options.listen);
      return new IoEngine(options, logFile, udp);
    } catch (error) {
      logFile.close();
      throw error;
    }
  }

  private constructor(options: IoEngineOptions, logFile: LogFile, udp: UdpSockets) {
    this.clock = options.clock ?? new SystemClock();
    this.logFile = logFile;
    this.udp = udp;
    this.ticker = new Ticker(options.tickMs, this.clock);
  }

  /** From now on datagrams and ticks are told. */
  start({ onDatagram, onTick }: IoEngineEvents): void {
    this.udp.onDatagram = (datagram, from) => onDatagram(datagram, from, this.clock.nowMs());
    this.ticker.start(() => {
      this.udp.renewShare();
      onTick(this.clock.nowMs());
    });
  }

  /** Nothing is told any more, and all is given back. No write of the log may be under way. */
  async close(): Promise<void> {
    this.udp.onDatagram = () => {};
    this.ticker.stop();
    await this.udp.close();
    this.logFile.close();
  }
}
