// The mesh's sockets: datagrams in and out over IPv4 and IPv6. Nothing the network or the
// kernel says here ends the program; it is counted.

import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import {
  DATAGRAMS_PER_TICK_MAX,
  PACKET_BYTES,
  UDP_RECEIVE_BUFFER_BYTES,
} from "../kernel/limits.ts";
import type { Endpoint } from "../kernel/ports.ts";
import { Outbox, type OutboxPacket } from "./outbox.ts";

/** An address that cannot be listened on. */
export class ListenError extends Error {
  override readonly name = "ListenError";
  readonly code = "ERR_LISTEN";
}

/** Counted since the sockets were opened. */
export interface UdpStatistics {
  readonly datagramsReceived: number;
  /** Not 1024 bytes, of an address that cannot be answered, or beyond a tick's share. */
  readonly datagramsDropped: number;
  readonly packetsSent: number;
  /** Pushed out of the outbox by newer ones. */
  readonly sendsDropped: number;
  /** Refused by the kernel: no route, no such network. */
  readonly sendErrors: number;
}

type Family = 4 | 6;

interface Address {
  readonly host: string;
  readonly port: number;
  readonly family: Family;
}

export class UdpSockets {
  /** Called with each datagram of 1024 bytes. */
  onDatagram: (datagram: Uint8Array, from: Endpoint) => void = () => {};

  readonly #sockets: Socket[] = [];
  /** Packets leave through the first socket of their family. */
  readonly #senders = new Map<Family, Socket>();
  readonly #outbox = new Outbox();
  readonly #bound: Endpoint[] = [];
  readonly #skipped: string[] = [];
  #share = DATAGRAMS_PER_TICK_MAX;
  #datagramsReceived = 0;
  #datagramsDropped = 0;
  #packetsSent = 0;
  #sendErrors = 0;

  /**
   * Binds every endpoint of `listen`. A family that this machine does not have is skipped as
   * long as another one works.
   * @throws ListenError
   */
  static async open(listen: readonly Endpoint[]): Promise<UdpSockets> {
    const sockets = new UdpSockets();
    try {
      for (const endpoint of listen) await sockets.#bind(endpoint);
      if (sockets.#bound.length === 0) throw new ListenError(sockets.#skipped.join(" "));
    } catch (error) {
      await sockets.close();
      throw error;
    }
    return sockets;
  }

  /** Where it listens, a port of 0 replaced by the one the kernel chose. */
  get bound(): readonly Endpoint[] {
    return this.#bound;
  }

  /** Why parts of `listen` were skipped, for people. */
  get skipped(): readonly string[] {
    return this.#skipped;
  }

  get statistics(): UdpStatistics {
    return {
      datagramsReceived: this.#datagramsReceived,
      datagramsDropped: this.#datagramsDropped,
      packetsSent: this.#packetsSent,
      sendsDropped: this.#outbox.droppedCount,
      sendErrors: this.#sendErrors,
    };
  }

  /** A new tick, a new share of datagrams to look at. */
  renewShare(): void {
    this.#share = DATAGRAMS_PER_TICK_MAX;
  }

  /** Sends one packet, or queues it. `packet` may be reused after the call. */
  send(packet: Uint8Array, to: Endpoint): void {
    this.#outbox.push(packet, to);
    this.#pump();
  }

  /** Closes the sockets; what waits is lost, as on any network. */
  async close(): Promise<void> {
    const open = this.#sockets.splice(0);
    this.#senders.clear();
    await Promise.all(open.map((socket) => new Promise<void>((done) => socket.close(done))));
  }

  async #bind(endpoint: Endpoint): Promise<void> {
    const address = splitEndpoint(endpoint);
    const socket = createSocket({
      type: address.family === 4 ? "udp4" : "udp6",
      // Refused for IPv4. An IPv6 socket leaves IPv4 to its own.
      ipv6Only: address.family === 6,
      recvBufferSize: UDP_RECEIVE_BUFFER_BYTES,
      // Endpoints are numbers already: no resolver, and no extra turn of the loop a packet.
      lookup: (host, _options, done) => done(null, host, address.family),
    });
    const error = await bindSocket(socket, address);
    if (error === null) {
      this.#adopt(socket, address.family);
    } else if (isFamilyMissing(error, address.family)) {
      this.#skipped.push(`${endpoint} is not listened on: this machine has no IPv6.`);
    } else {
      throw new ListenError(listenProblem(endpoint, error));
    }
  }

  #adopt(socket: Socket, family: Family): void {
    this.#sockets.push(socket);
    if (!this.#senders.has(family)) this.#senders.set(family, socket);
    const { address, port } = socket.address();
    this.#bound.push(family === 4 ? `${address}:${port}` : `[${address}]:${port}`);
    socket.on("error", () => {
      this.#sendErrors += 1;
    });
    socket.on("message", (datagram, from) => this.#receive(datagram, from));
  }

  #receive(datagram: Uint8Array, from: RemoteInfo): void {
    this.#datagramsReceived += 1;
    this.#share -= 1;
    const endpoint = this.#share < 0 || datagram.length !== PACKET_BYTES ? null : senderOf(from);
    if (endpoint === null) this.#datagramsDropped += 1;
    else this.onDatagram(datagram, endpoint);
  }

  #pump(): void {
    for (let packet = this.#outbox.take(); packet !== null; packet = this.#outbox.take()) {
      this.#sendOne(packet);
    }
  }

  #sendOne(packet: OutboxPacket): void {
    const { host, port, family } = splitEndpoint(packet.to);
    const socket = this.#senders.get(family);
    if (socket === undefined) {
      this.#settle(packet, true);
      return;
    }
    try {
      socket.send(packet.bytes, port, host, (error) => {
        this.#settle(packet, error !== null);
        this.#pump();
      });
    } catch {
      // Such as port 0, which no honest node publishes.
      this.#settle(packet, true);
    }
  }

  #settle(packet: OutboxPacket, failed: boolean): void {
    if (failed) this.#sendErrors += 1;
    else this.#packetsSent += 1;
    this.#outbox.release(packet);
  }
}

/**
 * The system writes addresses in their canonical form (RFC 5952) already. Null for one with
 * a scope (`fe80::1%eth0`), which no endpoint can name.
 */
function senderOf({ address, port, family }: RemoteInfo): Endpoint | null {
  if (family === "IPv4") return `${address}:${port}`;
  return address.includes("%") ? null : `[${address}]:${port}`;
}

/** Takes a canonical endpoint apart without reading its bytes: this runs for every packet. */
function splitEndpoint(endpoint: Endpoint): Address {
  const colon = endpoint.lastIndexOf(":");
  const port = Number(endpoint.slice(colon + 1));
  if (endpoint.startsWith("[")) return { host: endpoint.slice(1, colon - 1), port, family: 6 };
  return { host: endpoint.slice(0, colon), port, family: 4 };
}

function bindSocket(
  socket: Socket,
  { host, port }: Address,
): Promise<NodeJS.ErrnoException | null> {
  return new Promise((resolve) => {
    const failed = (error: Error): void => {
      socket.close(() => resolve(error));
    };
    socket.once("error", failed);
    socket.bind(port, host, () => {
      socket.off("error", failed);
      resolve(null);
    });
  });
}

function isFamilyMissing({ code }: NodeJS.ErrnoException, family: Family): boolean {
  return family === 6 && (code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL");
}

function listenProblem(endpoint: Endpoint, { code, message }: NodeJS.ErrnoException): string {
  const problem = `Cannot listen on ${endpoint}: `;
  switch (code) {
    case "EADDRINUSE":
      return `${problem}another program does. Stop it, or choose another port with "listen" in the configuration or --listen.`;
    case "EACCES":
      return `${problem}ports below 1024 need the capability CAP_NET_BIND_SERVICE. Choose a port from 1024 on, such as 7946.`;
    case "EADDRNOTAVAIL":
      return `${problem}this machine has no such address. Use one of its own, or 0.0.0.0 for all.`;
    default:
      return `${problem}${message}.`;
  }
}
