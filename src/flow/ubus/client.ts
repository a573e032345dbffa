// A client of ubusd: keeps a connection, offers objects on it, answers their calls, tells their
// subscribers, hears events and calls others. All of it bounded: the bus never holds up the daemon.
// After a restart of ubusd everything is registered again.

import {
  UBUS_ANSWERS_WAITING_MAX,
  UBUS_BACKLOG_BYTES_MAX,
  UBUS_NOTIFY_BACKLOG_BYTES_MAX,
  UBUS_REQUEST_MS_MAX,
  UBUS_REQUESTS_MAX,
} from "../../kernel/limits.ts";
import type { Random } from "../../kernel/ports.ts";
import type { LoopClock } from "../ports.ts";
import { RestartBackoff } from "../sense/restart-backoff.ts";
import { type BlobTable, BlobTooLongError } from "./blobmsg.ts";
import { CallLimiter } from "./call-limiter.ts";
import type { ConnectUbus, UbusConnection } from "./connection.ts";
import {
  describeStatus,
  encodeMessage,
  UBUS_MESSAGE,
  UBUS_STATUS,
  type UbusAttributes,
  type UbusMessage,
  UbusMessageReader,
} from "./message.ts";
import {
  readArguments,
  signatureOf,
  type UbusMethod,
  type UbusObject,
  UbusRefusal,
} from "./object.ts";

export interface UbusClientOptions {
  readonly connect: ConnectUbus;
  /** Milliseconds that never run backwards. */
  readonly clock: LoopClock;
  readonly random: Random;
  /** Offered for as long as there is a connection. */
  readonly objects: readonly UbusObject[];
  /** Events to hear, such as `config.change`; a `*` at the end stands for anything. */
  readonly eventPatterns: readonly string[];
  readonly listener: UbusListener;
}

export interface UbusListener {
  onEvent(name: string, data: BlobTable): void;
  /** All objects and events are registered. */
  onJoined(): void;
  /** The connection is gone, or could not be had; it is tried again. `reason` for people. */
  onLost(reason: string): void;
  /** A method failed with something other than a refusal. */
  onFailure(error: Error, method: string): void;
}

/** How a call of another's method ended. */
export type UbusResult =
  | { readonly ok: true; readonly data: BlobTable }
  | { readonly ok: false; readonly reason: string };

/** A request of our own that waits for its answer. */
interface Request {
  readonly deadlineMs: number;
  data: UbusAttributes;
  done(status: number | null, answer: UbusAttributes): void;
}

/** A call that waits for a connection. */
interface WaitingCall {
  readonly deadlineMs: number;
  readonly begin: () => void;
  readonly fail: (reason: string) => void;
}

/** To whom an answer goes; null: nobody wants one. */
interface ReplyTo {
  readonly connection: UbusConnection;
  readonly sequence: number;
  readonly peer: number;
  readonly objectId: number;
}

interface OfferedObject {
  readonly object: UbusObject;
  readonly id: number;
  /** Somebody is subscribed. */
  isActive: boolean;
}

/** ubusd's own object, for events. */
const EVENT_OBJECT_ID = 1;
const NO_REPLY_YET = "ubusd did not answer in time";

export class UbusClient {
  readonly #options: UbusClientOptions;
  readonly #backoff: RestartBackoff;
  readonly #limiter = new CallLimiter();
  #isStarted = false;
  #connection: UbusConnection | null = null;
  #reader = new UbusMessageReader();
  /** ubusd has greeted: requests may be sent. */
  #isGreeted = false;
  #isJoined = false;
  #connectedAtMs = 0;
  /** When to try again, without a connection. */
  #retryAtMs = 0;
  readonly #requests = new Map<number, Request>();
  #waitingCalls: WaitingCall[] = [];
  #lastSequence = 0;
  /** By id. */
  readonly #offered = new Map<number, OfferedObject>();
  #answersWaiting = 0;
  #droppedNotifications = 0;

  constructor(options: UbusClientOptions) {
    this.#options = options;
    this.#backoff = new RestartBackoff(options.random);
  }

  /** All objects and events are registered. */
  get isJoined(): boolean {
    return this.#isJoined;
  }

  /** Notifications that were not sent because ubusd did not read. */
  get droppedNotifications(): number {
    return this.#droppedNotifications;
  }

  start(): void {
    this.#isStarted = true;
    this.#connect();
  }

  /** Call it about twice a second: what is overdue ends, and a lost connection is tried again. */
  tick(): void {
    if (!this.#isStarted) return;
    const nowMs = this.#nowMs;
    if (this.#connection === null) {
      if (nowMs >= this.#retryAtMs) this.#connect();
    } else if (!this.#isGreeted && nowMs - this.#connectedAtMs > UBUS_REQUEST_MS_MAX) {
      this.#lose(NO_REPLY_YET);
    }
    for (const [sequence, request] of this.#requests) {
      if (nowMs >= request.deadlineMs) this.#finish(sequence, request, null);
    }
    const overdue = this.#waitingCalls.filter(({ deadlineMs }) => nowMs >= deadlineMs);
    this.#waitingCalls = this.#waitingCalls.filter((call) => !overdue.includes(call));
    for (const { fail } of overdue) fail(NO_REPLY_YET);
  }

  /** For good. Calls that wait end as failed. */
  stop(): void {
    this.#isStarted = false;
    this.#connection?.close();
    this.#forget("the client has stopped");
  }

  /**
   * Calls a method of another's object. It is looked up each time: its id changes when its owner
   * starts anew.
   * @param done once, within UBUS_REQUEST_MS_MAX a step
   */
  call(path: string, method: string, data: object, done: (result: UbusResult) => void): void {
    const fail = (reason: string): void => done({ ok: false, reason });
    if (this.#waitingCalls.length + this.#requests.size >= UBUS_REQUESTS_MAX) {
      fail(`${UBUS_REQUESTS_MAX} requests are under way already`);
      return;
    }
    const begin = (): void => this.#lookUp(path, method, data, done);
    if (this.#isGreeted) begin();
    else this.#waitingCalls.push({ deadlineMs: this.#deadlineMs, begin, fail });
  }

  /** Tells the subscribers of an object of ours, if there are any. */
  notify(path: string, method: string, data: object): void {
    const offered = [...this.#offered.values()].find(({ object }) => object.path === path);
    if (this.#connection === null || offered === undefined || !offered.isActive) return;
    if (this.#connection.backlogBytes > UBUS_NOTIFY_BACKLOG_BYTES_MAX) {
      this.#droppedNotifications += 1;
      return;
    }
    const attributes = { objectId: offered.id, method, data, noReply: true };
    this.#send({
      type: UBUS_MESSAGE.notify,
      sequence: this.#nextSequence(),
      peer: offered.id,
      attributes,
    });
  }

  get #nowMs(): number {
    return this.#options.clock.nowMs();
  }

  get #deadlineMs(): number {
    return this.#nowMs + UBUS_REQUEST_MS_MAX;
  }

  #connect(): void {
    this.#connectedAtMs = this.#nowMs;
    this.#reader = new UbusMessageReader();
    const connection = this.#options.connect({
      onBytes: (bytes) => {
        if (this.#connection !== connection) return;
        const isSound = this.#reader.push(bytes, (message) => this.#take(connection, message));
        if (!isSound) this.#lose("what comes from the socket is not ubus");
      },
      onClosed: (reason) => {
        if (this.#connection === connection) this.#lose(reason);
      },
    });
    this.#connection = connection;
  }

  #lose(reason: string): void {
    if (this.#connection === null) return;
    this.#connection.close();
    this.#retryAtMs = this.#nowMs + this.#backoff.nextWaitMs(this.#nowMs - this.#connectedAtMs);
    this.#forget(reason);
    this.#options.listener.onLost(reason);
  }

  /** What belonged to the connection is void. */
  #forget(reason: string): void {
    this.#connection = null;
    this.#isGreeted = false;
    this.#isJoined = false;
    this.#offered.clear();
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    for (const { done } of requests) done(null, {});
    for (const { fail } of this.#waitingCalls.splice(0)) fail(reason);
  }

  /** @param connection the one it came by: a message that ends it is the last */
  #take(connection: UbusConnection, message: UbusMessage): void {
    if (this.#connection !== connection) return;
    switch (message.type) {
      case UBUS_MESSAGE.hello:
        this.#onHello();
        break;
      case UBUS_MESSAGE.data:
      case UBUS_MESSAGE.status:
        this.#onAnswer(message);
        break;
      case UBUS_MESSAGE.invoke:
        this.#onInvoke(connection, message);
        break;
      case UBUS_MESSAGE.notify:
        this.#onSubscribers(message.attributes);
        break;
      default:
      // Such as the end of a subscription: nothing of ours depends on it.
    }
  }

  #onHello(): void {
    if (this.#isGreeted) return;
    this.#isGreeted = true;
    this.#register([...this.#options.objects]);
    for (const { begin } of this.#waitingCalls.splice(0)) begin();
  }

  /** One object after the other, then the events. */
  #register(objects: UbusObject[]): void {
    const [object, ...others] = objects;
    if (object === undefined) {
      this.#listen();
      return;
    }
    const attributes = { objectPath: object.path, signature: signatureOf(object) };
    this.#request(UBUS_MESSAGE.addObject, 0, attributes, (status, { objectId }) => {
      if (status !== UBUS_STATUS.ok || objectId === undefined) {
        this.#lose(refusal(`the object ${object.path}`, status));
        return;
      }
      this.#offered.set(objectId, { object, id: objectId, isActive: false });
      this.#register(others);
    });
  }

  /** An object without a name hears the events. */
  #listen(): void {
    const { eventPatterns } = this.#options;
    if (eventPatterns.length === 0) {
      this.#join();
      return;
    }
    this.#request(UBUS_MESSAGE.addObject, 0, {}, (status, { objectId }) => {
      if (status === UBUS_STATUS.ok && objectId !== undefined) {
        this.#listenTo(objectId, [...eventPatterns]);
      } else {
        this.#lose(refusal("to listen", status));
      }
    });
  }

  #listenTo(object: number, patterns: string[]): void {
    const [pattern, ...others] = patterns;
    if (pattern === undefined) {
      this.#join();
      return;
    }
    // ubusd takes the id as 32 bits only, with whatever sign.
    const data = { object: object | 0, pattern };
    const attributes = { objectId: EVENT_OBJECT_ID, method: "register", data };
    this.#request(UBUS_MESSAGE.invoke, EVENT_OBJECT_ID, attributes, (status) => {
      if (status === UBUS_STATUS.ok) this.#listenTo(object, others);
      else this.#lose(refusal(`to listen to ${pattern}`, status));
    });
  }

  #join(): void {
    this.#isJoined = true;
    this.#options.listener.onJoined();
  }

  #lookUp(path: string, method: string, data: object, done: (result: UbusResult) => void): void {
    const fail = (what: string, status: number | null): void =>
      done({
        ok: false,
        reason: `${what}: ${status === null ? NO_REPLY_YET : describeStatus(status)}`,
      });
    this.#request(UBUS_MESSAGE.lookup, 0, { objectPath: path }, (found, { objectId }) => {
      if (found !== UBUS_STATUS.ok || objectId === undefined) {
        fail(`the object ${path}`, found);
        return;
      }
      const attributes = { objectId, method, data };
      this.#request(UBUS_MESSAGE.invoke, objectId, attributes, (status, answer) => {
        if (status === UBUS_STATUS.ok) done({ ok: true, data: (answer.data ?? {}) as BlobTable });
        else fail(`${path} ${method}`, status);
      });
    });
  }

  #request(
    type: number,
    peer: number,
    attributes: UbusAttributes,
    done: (status: number | null, answer: UbusAttributes) => void,
  ): void {
    const sequence = this.#nextSequence();
    this.#requests.set(sequence, { deadlineMs: this.#deadlineMs, data: {}, done });
    this.#send({ type, sequence, peer, attributes });
  }

  #nextSequence(): number {
    do {
      this.#lastSequence = (this.#lastSequence + 1) & 0xffff;
    } while (this.#requests.has(this.#lastSequence));
    return this.#lastSequence;
  }

  #onAnswer({ type, sequence, attributes }: UbusMessage): void {
    const request = this.#requests.get(sequence);
    if (request === undefined) return;
    if (type === UBUS_MESSAGE.data) request.data = attributes;
    else this.#finish(sequence, request, attributes.status ?? UBUS_STATUS.unknownError);
  }

  #finish(sequence: number, request: Request, status: number | null): void {
    this.#requests.delete(sequence);
    request.done(status, request.data);
  }

  #onSubscribers({ objectId, active }: UbusAttributes): void {
    const offered = this.#offered.get(objectId ?? 0);
    if (offered !== undefined && active !== undefined) offered.isActive = active;
  }

  #onInvoke(connection: UbusConnection, { sequence, peer, attributes }: UbusMessage): void {
    const { objectId = 0, method: name = "", noReply = false } = attributes;
    const data = (attributes.data ?? {}) as BlobTable;
    if (peer === 0) {
      this.#options.listener.onEvent(name, data);
      return;
    }
    const to = noReply ? null : { connection, sequence, peer, objectId };
    const object = this.#offered.get(objectId)?.object;
    if (object === undefined) {
      this.#reply(to, UBUS_STATUS.notFound, null);
    } else if (!this.#limiter.take(peer, this.#nowMs)) {
      this.#refuse(
        to,
        UBUS_STATUS.timeout,
        "too-many-calls",
        "too many calls; try again in a second",
      );
    } else if (!Object.hasOwn(object.methods, name)) {
      this.#reply(to, UBUS_STATUS.methodNotFound, null);
    } else {
      this.#answer(to, `${object.path} ${name}`, object.methods[name]!, data);
    }
  }

  #answer(to: ReplyTo | null, name: string, method: UbusMethod, data: BlobTable): void {
    const read = readArguments(method, data);
    if ("problem" in read) {
      this.#refuse(to, UBUS_STATUS.invalidArgument, "argument-invalid", read.problem);
      return;
    }
    if (this.#answersWaiting >= UBUS_ANSWERS_WAITING_MAX) {
      this.#refuse(to, UBUS_STATUS.timeout, "busy", "earlier calls are not done yet; try again");
      return;
    }
    try {
      const answer = method.answer(read.given);
      if (answer instanceof Promise) this.#await(to, name, answer);
      else this.#reply(to, UBUS_STATUS.ok, answer);
    } catch (error) {
      this.#explain(to, name, error as Error);
    }
  }

  #await(to: ReplyTo | null, name: string, answer: Promise<object>): void {
    this.#answersWaiting += 1;
    answer
      .then(
        (found) => this.#reply(to, UBUS_STATUS.ok, found),
        (error: Error) => this.#explain(to, name, error),
      )
      .finally(() => {
        this.#answersWaiting -= 1;
      });
  }

  #explain(to: ReplyTo | null, name: string, error: Error): void {
    if (error instanceof UbusRefusal) {
      this.#reply(to, error.status, error.answer);
      return;
    }
    this.#options.listener.onFailure(error, name);
    const message = "the daemon failed to answer; its log says more";
    this.#refuse(to, UBUS_STATUS.unknownError, "internal", message);
  }

  #refuse(to: ReplyTo | null, status: number, code: string, message: string): void {
    this.#reply(to, status, { error: { code, message } });
  }

  /** Where the connection it came by is gone, the caller is told by ubusd. */
  #reply(to: ReplyTo | null, status: number, data: object | null): void {
    if (to === null || to.connection !== this.#connection) return;
    const { sequence, peer, objectId } = to;
    const wasSent =
      data === null ||
      this.#send({ type: UBUS_MESSAGE.data, sequence, peer, attributes: { objectId, data } });
    const ended = wasSent ? status : UBUS_STATUS.unknownError;
    const attributes = { status: ended, objectId };
    this.#send({ type: UBUS_MESSAGE.status, sequence, peer, attributes });
  }

  /** @returns false when it is longer than a message may be */
  #send(message: UbusMessage): boolean {
    const connection = this.#connection;
    if (connection === null) return true;
    let bytes: Uint8Array;
    try {
      bytes = encodeMessage(message);
    } catch (error) {
      if (error instanceof BlobTooLongError) return false;
      throw error;
    }
    connection.send(bytes);
    if (connection.backlogBytes > UBUS_BACKLOG_BYTES_MAX) this.#lose("ubusd does not read");
    return true;
  }
}

function refusal(what: string, status: number | null): string {
  const why = status === null ? NO_REPLY_YET : describeStatus(status);
  return `ubusd refused ${what}: ${why}`;
}
