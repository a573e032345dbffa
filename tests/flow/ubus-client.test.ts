// The client against a bus of the tests' own over a real unix socket, and against a real ubusd
// where one is on PATH. In the own one's hands: restarts, silence, garbage, callees that die.

import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test as base, describe } from "vitest";
import { UbusClient, type UbusResult } from "../../src/flow/ubus/client.ts";
import { UBUS_STATUS } from "../../src/flow/ubus/message.ts";
import { type UbusMethod, type UbusObject, UbusRefusal } from "../../src/flow/ubus/object.ts";
import { openUnixStream } from "../../src/io/unix-stream.ts";
import { UBUS_CALLS_BURST } from "../../src/kernel/limits.ts";
import { SeededRandom } from "../../src/kernel/random.ts";
import { eventually } from "../daemon/small-node.ts";
import { skipBecause } from "../skip-without.ts";
import { sendEvent } from "../ubus-server/send-event.ts";
import { type Misbehaviour, message, UbusServer } from "../ubus-server/server.ts";
import { subscribe } from "../ubus-server/subscriber.ts";

interface Bus {
  stop(): Promise<void>;
}
type StartBus = (socketPath: string) => Promise<Bus>;

const PATIENCE_MS = 10_000;

function onPath(program: string): string | null {
  for (const folder of (process.env.PATH ?? "").split(":")) {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return join(folder, program);
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

/** OpenWrt's own. Ready when it greets. */
async function startUbusd(socketPath: string): Promise<Bus> {
  const child: ChildProcess = spawn(onPath("ubusd")!, ["-s", socketPath], { stdio: "ignore" });
  await eventually(
    () =>
      new Promise<true | null>((resolve) => {
        const socket = connect(socketPath);
        socket.once("error", () => resolve(null));
        socket.once("data", () => {
          socket.destroy();
          resolve(true);
        });
      }),
  );
  return {
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child.once("exit", resolve));
      child.kill();
      await ended;
      rmSync(socketPath, { force: true });
    },
  };
}

const BUSES: readonly (readonly [name: string, start: StartBus, why: string | null])[] = [
  ["the tests' own bus", (path) => UbusServer.start(path), null],
  ["ubusd", startUbusd, onPath("ubusd") === null ? "there is no ubusd on PATH" : null],
];

interface Clients {
  readonly socketPath: string;
  /** A client that ticks by itself. */
  open(objects?: readonly UbusObject[], eventPatterns?: readonly string[]): TestClient;
  run(start: StartBus): Promise<Bus>;
  misbehave(behaviour: Misbehaviour): Promise<UbusServer>;
}

class TestClient {
  readonly events: { readonly name: string; readonly data: object }[] = [];
  readonly lost: string[] = [];
  readonly failures: string[] = [];
  readonly client: UbusClient;
  /** Added to the clock, to make patience end. */
  skippedMs = 0;
  readonly #pace: NodeJS.Timeout;

  constructor(
    socketPath: string,
    objects: readonly UbusObject[],
    eventPatterns: readonly string[],
  ) {
    this.client = new UbusClient({
      connect: (events) => openUnixStream(socketPath, events),
      clock: { nowMs: () => performance.now() + this.skippedMs },
      random: new SeededRandom(1n),
      objects,
      eventPatterns,
      listener: {
        onEvent: (name, data) => this.events.push({ name, data }),
        onJoined() {},
        onLost: (reason) => this.lost.push(reason),
        onFailure: (error) => this.failures.push(error.message),
      },
    });
    this.client.start();
    this.#pace = setInterval(() => this.client.tick(), 10);
  }

  async joined(): Promise<this> {
    await eventually(() => (this.client.isJoined ? true : null));
    return this;
  }

  call(path: string, method: string, data: object = {}): Promise<UbusResult> {
    return new Promise((resolve) => this.client.call(path, method, data, resolve));
  }

  stop(): void {
    clearInterval(this.#pace);
    this.client.stop();
  }
}

const it = base.extend<{ clients: Clients }>({
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the parameters' names
  clients: async ({}, use) => {
    const folder = mkdtempSync(join(tmpdir(), "myco-ubus-"));
    const socketPath = join(folder, "ubus.sock");
    const open: TestClient[] = [];
    const buses: Bus[] = [];
    const keep = async <T extends Bus>(starting: Promise<T>): Promise<T> => {
      const bus = await starting;
      buses.push(bus);
      return bus;
    };
    await use({
      socketPath,
      open(objects = [], eventPatterns = []) {
        const client = new TestClient(socketPath, objects, eventPatterns);
        open.push(client);
        return client;
      },
      run: (start) => keep(start(socketPath)),
      misbehave: (behaviour) => keep(UbusServer.start(socketPath, behaviour)),
    });
    for (const client of open) client.stop();
    for (const bus of buses) await bus.stop().catch(() => {});
    rmSync(folder, { recursive: true, force: true });
  },
});

function method(answer: UbusMethod["answer"], takes: UbusMethod["takes"] = {}): UbusMethod {
  return { takes, answer };
}

const ECHO: UbusObject = {
  path: "test.echo",
  methods: {
    say: method((given) => ({ said: given }), { word: "string", times: "number" }),
    later: method(() => new Promise((resolve) => setTimeout(() => resolve({ late: true }), 20))),
    refuse: method(() => {
      throw new UbusRefusal(UBUS_STATUS.notFound, { error: { code: "none" } });
    }),
    fail: method(() => {
      throw new Error("a mistake of ours");
    }),
    never: method(() => new Promise(() => {})),
    long: method(() => ({ text: "x".repeat(1024 * 1024) })),
    large: method(() => ({ text: "x".repeat(900 * 1024) })),
  },
};

function dataOf(result: UbusResult): unknown {
  return result.ok ? structuredClone(result.data) : result.reason;
}

describe.each(BUSES)("on %s", (_, start, why) => {
  describe("a client", () => {
    skipBecause(() => why);

    it("its objects are called, with arguments and answers of every type", async ({
      clients,
      expect,
    }) => {
      await clients.run(start);
      await clients.open([ECHO]).joined();
      const caller = clients.open();
      const said = { word: "grüße", times: -3 };
      expect(dataOf(await caller.call("test.echo", "say", said))).toEqual({ said });
      expect(dataOf(await caller.call("test.echo", "later"))).toEqual({ late: true });
      const large = await caller.call("test.echo", "large");
      expect(large.ok).toBe(true);
    });

    it("a browser's session is let pass, and nothing else that is not known", async ({
      clients,
      expect,
    }) => {
      await clients.run(start);
      await clients.open([ECHO]).joined();
      const caller = clients.open();
      expect(dataOf(await caller.call("test.echo", "say", { ubus_rpc_session: "0" }))).toEqual({
        said: {},
      });
      for (const bad of [
        { wrd: "a" },
        { word: 1 },
        { times: "1" },
        { times: true },
        { constructor: "a" },
      ]) {
        expect(dataOf(await caller.call("test.echo", "say", bad))).toBe(
          "test.echo say: invalid argument",
        );
      }
    });

    it("a call ends with the status that says why", async ({ clients, expect }) => {
      await clients.run(start);
      const owner = await clients.open([ECHO]).joined();
      const caller = clients.open();
      const ends = async (path: string, name: string) => dataOf(await caller.call(path, name));
      expect(await ends("test.echo", "refuse")).toBe("test.echo refuse: not found");
      expect(await ends("test.echo", "fail")).toBe("test.echo fail: unknown error");
      expect(owner.failures).toEqual(["a mistake of ours"]);
      expect(await ends("test.echo", "long")).toBe("test.echo long: unknown error");
      expect(await ends("test.echo", "toString")).toBe("test.echo toString: method not found");
      expect(await ends("test.none", "say")).toBe("the object test.none: not found");
    });

    it("a client that calls without pause is told to wait, and others are served", async ({
      clients,
      expect,
    }) => {
      await clients.run(start);
      await clients.open([ECHO]).joined();
      const hasty = clients.open();
      const ends: UbusResult[] = [];
      for (let call = 0; call < UBUS_CALLS_BURST + 20; call += 1) {
        ends.push(await hasty.call("test.echo", "say"));
      }
      expect(ends.filter(({ ok }) => ok).length).toBeGreaterThanOrEqual(UBUS_CALLS_BURST);
      expect(ends.map(dataOf)).toContain("test.echo say: timed out");
      expect((await clients.open().call("test.echo", "say")).ok).toBe(true);
    });

    it("subscribers hear what is told, and nobody is told without one", async ({
      clients,
      expect,
    }) => {
      await clients.run(start);
      const owner = await clients.open([ECHO]).joined();
      owner.client.notify("test.echo", "before", { n: 1 });
      const { told, socket } = await subscribe(clients.socketPath, "test.echo");
      // A call behind the subscription: the owner knows by then.
      await clients.open().call("test.echo", "say");
      owner.client.notify("test.echo", "during", { n: 2 });
      await eventually(() => (told.length > 0 ? true : null));
      expect(structuredClone(told)).toEqual([{ method: "during", data: { n: 2 } }]);
      socket.destroy();
    });

    it("events that were asked for are heard", async ({ clients, expect }) => {
      await clients.run(start);
      const listener = await clients.open([], ["config.change"]).joined();
      const sender = clients.open();
      for (const id of ["other", "config.change"]) {
        await new Promise<void>((resolve, reject) => {
          sendEvent(clients.socketPath, id).then(resolve, reject);
        });
      }
      await eventually(() => (listener.events.length > 0 ? true : null));
      expect(structuredClone(listener.events)).toEqual([
        { name: "config.change", data: { package: "mycoflow" } },
      ]);
      sender.stop();
    });

    it(
      "everything is registered again after a restart of the bus",
      async ({ clients, expect }) => {
        const bus = await clients.run(start);
        const owner = await clients.open([ECHO], ["config.change"]).joined();
        await bus.stop();
        await eventually(() => (owner.client.isJoined ? null : true));
        await clients.run(start);
        await owner.joined();
        expect((await clients.open().call("test.echo", "say")).ok).toBe(true);
        await sendEvent(clients.socketPath, "config.change");
        await eventually(() => (owner.events.length > 0 ? true : null));
      },
      PATIENCE_MS,
    );

    it("a callee that never answers costs the caller its patience and no more", async ({
      clients,
      expect,
    }) => {
      await clients.run(start);
      const owner = await clients.open([ECHO]).joined();
      const caller = clients.open();
      await caller.call("test.echo", "say");
      const ended = caller.call("test.echo", "never");
      setTimeout(() => {
        owner.stop();
        caller.skippedMs += 10_000;
      }, 100);
      expect(dataOf(await ended)).toMatch(/did not answer in time|not found/);
    });
  });
});

describe("a bus that misbehaves", () => {
  it("is left and tried again when it does not greet", async ({ clients, expect }) => {
    const server = await clients.misbehave({ mute: true });
    const owner = clients.open([ECHO]);
    await eventually(() => (server.connectionCount === 1 ? true : null));
    owner.skippedMs += 10_000;
    await eventually(() => (server.connectionCount >= 2 ? true : null));
    expect(owner.lost[0]).toBe("ubusd did not answer in time");
  });

  it("is left when it talks nonsense", async ({ clients, expect }) => {
    await clients.misbehave({ greeting: Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n") });
    const owner = clients.open([ECHO]);
    await eventually(() => (owner.lost.length > 0 ? true : null));
    expect(owner.lost[0]).toBe("what comes from the socket is not ubus");
  });

  it("says so when it takes no object", async ({ clients, expect }) => {
    await clients.misbehave({ refusedPath: "test.echo" });
    const owner = clients.open([ECHO]);
    await eventually(() => (owner.lost.length > 0 ? true : null));
    expect(owner.lost[0]).toBe("ubusd refused the object test.echo: invalid argument");
  });

  it("that does not read costs notifications, then the connection, and no memory", async ({
    clients,
    expect,
  }) => {
    const server = await clients.misbehave({});
    const owner = await clients.open([ECHO]).joined();
    await subscribe(clients.socketPath, "test.echo");
    await clients.open().call("test.echo", "say");
    server.stall();
    for (let sent = 0; sent < 2_000; sent += 1) {
      owner.client.notify("test.echo", "told", { text: "x".repeat(1_000) });
    }
    expect(owner.client.droppedNotifications).toBeGreaterThan(0);
    expect(owner.client.isJoined).toBe(true);
  });

  it("is not believed: answers nobody waits for, objects nobody has, types nobody knows", async ({
    clients,
    expect,
  }) => {
    const server = await clients.misbehave({});
    const owner = await clients.open([ECHO]).joined();
    for (const type of [0, 1, 2, 3, 5, 8, 9, 10, 11, 200])
      server.sendToAll(message(type, 999, 5, []));
    expect((await clients.open().call("test.echo", "say")).ok).toBe(true);
    expect(owner.lost).toEqual([]);
  });

  it("that is not there fails a call at once", async ({ clients, expect }) => {
    const result = await clients.open().call("uci", "get");
    expect(dataOf(result)).toBe(`there is no ${clients.socketPath}`);
  });
});
