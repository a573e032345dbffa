// A small ubusd for the tests, with a codec of its own: greets, keeps objects, routes calls,
// answers, notifications and events. It can be told to misbehave.

import { rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";

const MESSAGE_BYTES_MAX = 1024 * 1024;

/** Attribute ids, and message types. */
const A = { status: 1, path: 2, id: 3, method: 4, type: 5, signature: 6, data: 7, target: 8 };
const B = { active: 9, noReply: 10, user: 12, group: 13 };
const M = { hello: 0, status: 1, data: 2, lookup: 4, invoke: 5, add: 6, subscribe: 8, notify: 10 };

export function attribute(id: number, content: Buffer): Buffer {
  const bytes = Buffer.alloc((4 + content.length + 3) & ~3);
  bytes.writeUInt32BE(id * 0x100_0000 + 4 + content.length);
  content.copy(bytes, 4);
  return bytes;
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

export function message(
  type: number,
  sequence: number,
  peer: number,
  attributes: Buffer[],
): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt8(type, 1);
  head.writeUInt16BE(sequence, 2);
  head.writeUInt32BE(peer, 4);
  return Buffer.concat([head, attribute(0, Buffer.concat(attributes))]);
}

/** A named field of type `type`. */
export function field(type: number, name: string, value: Buffer): Buffer {
  const head = Buffer.alloc((2 + name.length + 1 + 3) & ~3);
  head.writeUInt16BE(name.length);
  head.write(name, 2);
  const bytes = attribute(type, Buffer.concat([head, value]));
  bytes.writeUInt32BE(bytes.readUInt32BE() + 0x8000_0000);
  return bytes;
}

/** Attributes by id, as their raw content. */
function attributesOf(bytes: Buffer): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (let at = 0; at + 4 <= bytes.length; ) {
    const head = bytes.readUInt32BE(at);
    const lengthBytes = head & 0xff_ffff;
    found.set((head >>> 24) & 0x7f, bytes.subarray(at + 4, at + lengthBytes));
    at += (lengthBytes + 3) & ~3;
  }
  return found;
}

/** Fields by name, values raw. */
function fieldsOf(bytes: Buffer): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (let at = 0; at + 4 <= bytes.length; ) {
    const lengthBytes = bytes.readUInt32BE(at) & 0xff_ffff;
    const nameBytes = bytes.readUInt16BE(at + 4);
    const name = bytes.toString("utf8", at + 6, at + 6 + nameBytes);
    found.set(name, bytes.subarray(at + 4 + ((2 + nameBytes + 1 + 3) & ~3), at + lengthBytes));
    at += (lengthBytes + 3) & ~3;
  }
  return found;
}

function textOf(bytes: Buffer | undefined): string {
  return bytes?.toString("utf8").replace(/\0.*$/s, "") ?? "";
}

interface Peer {
  readonly id: number;
  readonly socket: Socket;
}

interface ServedObject {
  readonly id: number;
  readonly path: string;
  readonly owner: Peer;
  readonly signature: Buffer;
  readonly subscribers: Set<ServedObject>;
}

export interface Misbehaviour {
  /** Accepts, and says nothing at all. */
  readonly mute?: boolean;
  /** Sent instead of a greeting. */
  readonly greeting?: Buffer;
  /** Takes no object of this path. */
  readonly refusedPath?: string;
}

export class UbusServer {
  readonly #socketPath: string;
  readonly #behaviour: Misbehaviour;
  readonly #server: Server;
  readonly #peers = new Map<number, Peer>();
  readonly #objects = new Map<number, ServedObject>();
  readonly #patterns: { readonly pattern: string; readonly object: ServedObject }[] = [];
  /** Beyond 2^31, where signs go wrong. */
  #nextId = 0x9000_0001;
  connectionCount = 0;

  private constructor(socketPath: string, behaviour: Misbehaviour) {
    this.#socketPath = socketPath;
    this.#behaviour = behaviour;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  static async start(socketPath: string, behaviour: Misbehaviour = {}): Promise<UbusServer> {
    const server = new UbusServer(socketPath, behaviour);
    rmSync(socketPath, { force: true });
    await new Promise<void>((resolve) => server.#server.listen(socketPath, resolve));
    return server;
  }

  get paths(): string[] {
    return [...this.#objects.values()].map(({ path }) => path).filter((path) => path !== "");
  }

  /** Sends bytes to everyone, whatever they are. */
  sendToAll(bytes: Buffer): void {
    for (const { socket } of this.#peers.values()) socket.write(bytes);
  }

  /** Reads no more of anyone. */
  stall(): void {
    for (const { socket } of this.#peers.values()) socket.pause();
  }

  async stop(): Promise<void> {
    for (const { socket } of this.#peers.values()) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
    rmSync(this.#socketPath, { force: true });
  }

  #accept(socket: Socket): void {
    this.connectionCount += 1;
    const peer = { id: this.#newId(), socket };
    this.#peers.set(peer.id, peer);
    let received = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("close", () => this.#leave(peer));
    socket.on("data", (chunk: Buffer) => {
      if (this.#behaviour.mute === true) return;
      received = Buffer.concat([received, chunk]);
      while (received.length >= 12) {
        const rootBytes = received.readUInt32BE(8) & 0xff_ffff;
        if (rootBytes > MESSAGE_BYTES_MAX) {
          socket.destroy();
          return;
        }
        if (received.length < 8 + rootBytes) return;
        this.#take(peer, received.subarray(0, 8 + rootBytes));
        received = received.subarray(8 + rootBytes);
      }
    });
    if (this.#behaviour.mute === true) return;
    socket.write(this.#behaviour.greeting ?? message(M.hello, 0, peer.id, []));
  }

  #newId(): number {
    this.#nextId += 1;
    return this.#nextId;
  }

  #leave(peer: Peer): void {
    this.#peers.delete(peer.id);
    for (const object of [...this.#objects.values()].filter(({ owner }) => owner === peer)) {
      this.#objects.delete(object.id);
      for (const { subscribers, owner, id } of this.#objects.values()) {
        if (subscribers.delete(object) && subscribers.size === 0)
          this.#tellActive(owner, id, false);
      }
    }
  }

  #take(peer: Peer, bytes: Buffer): void {
    const type = bytes.readUInt8(1);
    const sequence = bytes.readUInt16BE(2);
    const attributes = attributesOf(bytes.subarray(12));
    const end = (status: number): void => {
      peer.socket.write(message(M.status, sequence, 0, [attribute(A.status, u32(status))]));
    };
    const say = (content: Buffer[]): void => {
      peer.socket.write(message(M.data, sequence, 0, content));
    };
    if (type === M.add) this.#add(peer, attributes, say, end);
    else if (type === M.lookup) this.#lookUp(attributes, say, end);
    else if (type === M.invoke) this.#invoke(peer, sequence, attributes, end);
    else if (type === M.subscribe) this.#subscribe(attributes, end);
    else if (type === M.notify) this.#notify(peer, attributes);
    else if (type === M.data || type === M.status) this.#forwardAnswer(peer, bytes, attributes);
    else end(1);
  }

  #add(
    owner: Peer,
    attributes: Map<number, Buffer>,
    say: (content: Buffer[]) => void,
    end: (status: number) => void,
  ): void {
    const path = textOf(attributes.get(A.path));
    if (path !== "" && (this.paths.includes(path) || path === this.#behaviour.refusedPath)) {
      end(2);
      return;
    }
    const signature = attributes.get(A.signature) ?? Buffer.alloc(0);
    const object = {
      id: this.#newId(),
      path,
      owner,
      signature,
      subscribers: new Set<ServedObject>(),
    };
    this.#objects.set(object.id, object);
    say([attribute(A.id, u32(object.id)), attribute(A.type, u32(7))]);
    end(0);
  }

  #lookUp(
    attributes: Map<number, Buffer>,
    say: (content: Buffer[]) => void,
    end: (status: number) => void,
  ): void {
    const path = textOf(attributes.get(A.path));
    const object = [...this.#objects.values()].find((each) => each.path === path);
    if (object === undefined) {
      end(4);
      return;
    }
    say([
      attribute(A.path, text(path)),
      attribute(A.id, u32(object.id)),
      attribute(A.type, u32(7)),
      attribute(A.signature, object.signature),
    ]);
    end(0);
  }

  #invoke(
    caller: Peer,
    sequence: number,
    attributes: Map<number, Buffer>,
    end: (status: number) => void,
  ): void {
    const id = attributes.get(A.id)?.readUInt32BE() ?? 0;
    const method = attributes.get(A.method) ?? text("");
    const data = attributes.get(A.data) ?? Buffer.alloc(0);
    if (id === 1) {
      end(this.#event(textOf(method), fieldsOf(data)));
      return;
    }
    const object = this.#objects.get(id);
    if (object === undefined) {
      end(4);
      return;
    }
    object.owner.socket.write(
      message(M.invoke, sequence, caller.id, [
        attribute(A.id, u32(id)),
        attribute(A.method, method),
        attribute(B.user, text("root")),
        attribute(B.group, text("root")),
        attribute(A.data, data),
      ]),
    );
  }

  /** As strict as ubusd: an object's id is 32 bits long. */
  #event(method: string, fields: Map<string, Buffer>): number {
    if (method === "register") {
      const id = fields.get("object");
      const object = id?.length === 4 ? this.#objects.get(id.readUInt32BE()) : undefined;
      if (object === undefined) return 2;
      this.#patterns.push({ pattern: textOf(fields.get("pattern")), object });
      return 0;
    }
    const name = textOf(fields.get("id"));
    for (const { object } of this.#patterns.filter(({ pattern }) => pattern === name)) {
      object.owner.socket.write(
        message(M.invoke, 1, 0, [
          attribute(A.id, u32(object.id)),
          attribute(A.method, text(name)),
          attribute(A.data, fields.get("data") ?? Buffer.alloc(0)),
        ]),
      );
    }
    return 0;
  }

  #subscribe(attributes: Map<number, Buffer>, end: (status: number) => void): void {
    const own = this.#objects.get(attributes.get(A.id)?.readUInt32BE() ?? 0);
    const target = this.#objects.get(attributes.get(A.target)?.readUInt32BE() ?? 0);
    if (own === undefined || target === undefined) {
      end(4);
      return;
    }
    target.subscribers.add(own);
    if (target.subscribers.size === 1) this.#tellActive(target.owner, target.id, true);
    end(0);
  }

  #tellActive(owner: Peer, id: number, isActive: boolean): void {
    const content = [
      attribute(A.id, u32(id)),
      attribute(B.active, Buffer.from([isActive ? 1 : 0])),
    ];
    owner.socket.write(message(M.notify, 1, 0, content));
  }

  #notify(peer: Peer, attributes: Map<number, Buffer>): void {
    const object = this.#objects.get(attributes.get(A.id)?.readUInt32BE() ?? 0);
    if (object === undefined || object.owner !== peer) return;
    for (const { owner, id } of object.subscribers) {
      owner.socket.write(
        message(M.invoke, 1, peer.id, [
          attribute(A.id, u32(id)),
          attribute(A.method, attributes.get(A.method) ?? text("")),
          attribute(B.noReply, Buffer.from([1])),
          attribute(A.data, attributes.get(A.data) ?? Buffer.alloc(0)),
        ]),
      );
    }
  }

  #forwardAnswer(peer: Peer, bytes: Buffer, attributes: Map<number, Buffer>): void {
    const object = this.#objects.get(attributes.get(A.id)?.readUInt32BE() ?? 0);
    const caller = this.#peers.get(bytes.readUInt32BE(4));
    if (object?.owner !== peer || caller === undefined) return;
    const forwarded = Buffer.from(bytes);
    forwarded.writeUInt32BE(object.id, 4);
    caller.socket.write(forwarded);
  }
}
