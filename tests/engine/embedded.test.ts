// The embedded engine with real child processes.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import {
  EMBEDDED_TIMING_DEFAULTS,
  EmbeddedEngine,
  environmentOf,
} from "../../src/engine/embedded.ts";
import type { InstanceState } from "../../src/engine/engine.ts";
import { backoffMs, type SupervisorTiming } from "../../src/engine/supervisor.ts";
import type { HealthCheck, ServiceSpec } from "../../src/schema/service.ts";
import { eventually, lives } from "./eventually.ts";
import { nodeIdFrom, serviceSpec } from "./specs.ts";

const timing: SupervisorTiming = {
  backoffMinMs: 20,
  backoffMaxMs: 80,
  stableRunMs: 60_000,
  stopTimeoutMs: 300,
  settleMs: 30,
  preStartTimeoutMs: 500,
};

interface Bench {
  readonly engine: EmbeddedEngine;
  readonly events: [name: string, state: InstanceState | "stopped", detail: string][];
  readonly workDir: string;
}

const benches: Bench[] = [];

function bench(changes: Partial<SupervisorTiming> = {}, workDir?: string): Bench {
  const events: Bench["events"] = [];
  const folder = workDir ?? mkdtempSync(join(tmpdir(), "myco-engine-"));
  const engine = new EmbeddedEngine(
    {
      workDir: folder,
      nodeId: nodeIdFrom(0xabcn),
      address: "127.0.0.1",
      path: "/usr/bin:/bin",
      timing: { ...timing, ...changes },
      logBytesMax: 64 * 1024,
    },
    (name, state, detail) => events.push([name, state, detail]),
  );
  const made = { engine, events, workDir: folder };
  benches.push(made);
  return made;
}

afterEach(async () => {
  for (const { engine } of benches) await new Promise<void>((resolve) => engine.close(resolve));
  for (const { workDir } of benches) rmSync(workDir, { recursive: true, force: true });
  benches.length = 0;
});

/** A service that runs a shell script. */
function shell(script: string, changes: Partial<ServiceSpec> = {}): ServiceSpec {
  return serviceSpec({ exec: "/bin/sh", args: ["-c", script], ...changes });
}

function start({ engine }: Bench, spec: ServiceSpec, generation = 1): void {
  engine.start({ name: spec.name, generation, spec });
}

function stateOf({ engine }: Bench, name = "web"): InstanceState | undefined {
  return engine.list().find((instance) => instance.name === name)?.state;
}

function statesOf({ events }: Bench): string[] {
  return events.map(([, state]) => state);
}

function logOf({ engine }: Bench): readonly string[] {
  return engine.logs.lastLines("web", 1_000);
}

/** The number a service printed as `KEY=NUMBER`, once it did. */
async function printed(b: Bench, key: string): Promise<number> {
  const find = () => logOf(b).find((line) => line.startsWith(`${key}=`));
  await eventually(() => find() !== undefined);
  return Number(find()!.slice(key.length + 1));
}

const timings = { intervalMs: 30, timeoutMs: 1_000, graceMs: 0 };

describe("starting", () => {
  test("a plain command runs, and is healthy once it has stayed up", async () => {
    const b = bench();
    start(b, shell("exec sleep 60"));
    expect(stateOf(b)).toBe("starting");
    await eventually(() => stateOf(b) === "healthy");
    expect(statesOf(b)).toEqual(["starting", "healthy"]);
  });

  test("the program finds its own folder and environment, and nothing of the daemon's", async () => {
    const b = bench();
    const ports = [{ port: 8080, protocol: "tcp", name: "" }] as const;
    start(b, shell("pwd; env | sort; exec sleep 60", { ports, env: [["GREETING", "hi"]] }));
    const cwd = join(b.workDir, "services", "web");
    await eventually(() => logOf(b).includes("PORT=8080"));
    await eventually(() => stateOf(b) === "healthy");
    expect(logOf(b).filter((line) => !/^(_|PWD|OLDPWD|SHLVL)=/.test(line))).toEqual([
      cwd,
      "GREETING=hi",
      `HOME=${cwd}`,
      "LANG=C.UTF-8",
      "MYCO_ADDRESS=127.0.0.1",
      "MYCO_INSTANCE=web@0000000000000abc",
      "MYCO_NODE=0000000000000abc",
      "MYCO_SERVICE=web",
      "PATH=/usr/bin:/bin",
      "PORT=8080",
    ]);
  });

  test("what the service sets itself wins, except for its instance's name", () => {
    const spec = serviceSpec({
      ports: [{ port: 80, protocol: "tcp", name: "" }],
      env: [
        ["MYCO_INSTANCE", "x"],
        ["PORT", "81"],
      ],
    });
    const around = { nodeId: nodeIdFrom(1n), address: "::1", path: "/bin", cwd: "/" };
    expect(environmentOf(spec, around)).toMatchObject({
      PORT: "81",
      MYCO_INSTANCE: "web@0000000000000001",
    });
  });

  test("starting the same generation again changes nothing", async () => {
    const b = bench();
    start(b, shell("echo up; exec sleep 60"));
    await eventually(() => stateOf(b) === "healthy");
    start(b, shell("echo up; exec sleep 60"));
    expect(statesOf(b)).toEqual(["starting", "healthy"]);
  });

  test("another generation takes the place of the running one", async () => {
    const b = bench();
    start(b, shell("echo one; exec sleep 60"));
    await eventually(() => stateOf(b) === "healthy");
    start(b, shell("echo two; exec sleep 60"), 2);
    await eventually(() => statesOf(b).filter((state) => state === "healthy").length === 2);
    expect(statesOf(b)).toEqual([
      "starting",
      "healthy",
      "stopping",
      "stopped",
      "starting",
      "healthy",
    ]);
    expect(b.engine.list()).toMatchObject([{ generation: 2, restartCount: 0 }]);
    expect(logOf(b)).toEqual(["one", "two"]);
  });

  test("a flake is refused with the reason, and goes when it is stopped", async () => {
    const b = bench();
    start(b, serviceSpec({ flake: "github:example/web", exec: "bin/web" }));
    expect(b.engine.list()[0]).toMatchObject({ state: "refused" });
    expect(b.engine.list()[0]?.detail).toContain("needs the nix engine");
    b.engine.stop("web");
    await eventually(() => b.engine.list().length === 0);
  });

  test("a relative program is refused: there is nothing it could be relative to", () => {
    const b = bench();
    start(b, serviceSpec({ exec: "bin/web" }));
    expect(b.engine.list()[0]?.detail).toContain('exec "bin/web" is relative');
  });
});

describe("restarting", () => {
  test("a program that ends is started again after a wait, and says why", async () => {
    const b = bench();
    start(b, shell("echo run; exit 3"));
    await eventually(() => (b.engine.list()[0]?.restartCount ?? 0) >= 3);
    expect(logOf(b).filter((line) => line === "run").length).toBeGreaterThanOrEqual(3);
    expect(b.events).toContainEqual(["web", "backoff", "exited with code 3"]);
    expect(logOf(b)).toContain("myco: web exited with code 3; it starts again in 20 ms");
    expect(logOf(b)).toContain("myco: web exited with code 3; it starts again in 40 ms");
    expect(statesOf(b)).not.toContain("healthy");
  });

  test("a program that is not there is a failed run like any other", async () => {
    const b = bench();
    start(b, serviceSpec({ exec: "/nowhere/program" }));
    await eventually(() => (b.engine.list()[0]?.restartCount ?? 0) >= 2);
    expect(b.events).toContainEqual([
      "web",
      "backoff",
      "could not be started: there is no /nowhere/program",
    ]);
  });

  test("nothing the ended program started lives on beside its next run", async () => {
    const b = bench({ backoffMinMs: 60_000, backoffMaxMs: 60_000 });
    start(b, shell("sleep 60 & echo child=$!; exit 1"));
    const child = await printed(b, "child");
    await eventually(() => !lives(child));
  });

  test("the wait doubles from its least to its most", () => {
    const waits = [1, 2, 3, 4, 5, 6, 7, 8, 60].map((n) => backoffMs(n, EMBEDDED_TIMING_DEFAULTS));
    expect(waits).toEqual([1e3, 2e3, 4e3, 8e3, 16e3, 32e3, 60e3, 60e3, 60e3]);
  });

  test("the wait starts over after a stable run", async () => {
    const b = bench({ stableRunMs: 0 });
    start(b, shell("exit 1"));
    await eventually(() => (b.engine.list()[0]?.restartCount ?? 0) >= 4);
    expect(logOf(b).every((line) => line.endsWith("in 20 ms"))).toBe(true);
  });
});

describe("the pre-start command", () => {
  test("comes to its end before the program starts", async () => {
    const b = bench();
    start(b, shell("echo run; exec sleep 60", { preStart: ["/bin/sh", "-c", "echo prepare"] }));
    await eventually(() => stateOf(b) === "healthy");
    expect(logOf(b)).toEqual(["prepare", "run"]);
  });

  test("keeps the program from starting when it fails", async () => {
    const b = bench();
    start(b, shell("echo run", { preStart: ["false"] }));
    await eventually(() => (b.engine.list()[0]?.restartCount ?? 0) >= 2);
    expect(logOf(b)).not.toContain("run");
    expect(b.events).toContainEqual(["web", "backoff", "the pre-start command exited with code 1"]);
  });

  test("is ended when it takes too long", async () => {
    const b = bench({ preStartTimeoutMs: 50, backoffMinMs: 60_000, backoffMaxMs: 60_000 });
    start(b, shell("echo run", { preStart: ["/bin/sh", "-c", "echo child=$$; exec sleep 60"] }));
    const child = await printed(b, "child");
    await eventually(() => stateOf(b) === "backoff" && !lives(child));
  });
});

describe("stopping", () => {
  test("ends the program and everything it started, then tells", async () => {
    const b = bench();
    start(b, shell("sleep 60 & echo child=$!; echo leader=$$; wait"));
    const child = await printed(b, "child");
    const leader = await printed(b, "leader");
    expect(lives(child) && lives(leader)).toBe(true);
    b.engine.stop("web");
    expect(stateOf(b)).toBe("stopping");
    await eventually(() => b.engine.list().length === 0);
    expect(lives(child) || lives(leader)).toBe(false);
    expect(b.events.at(-1)).toEqual(["web", "stopped", ""]);
  });

  test("kills what does not end when asked to", async () => {
    const b = bench();
    start(b, shell('trap "" TERM; (trap "" TERM; sleep 60) & echo child=$!; sleep 60'));
    const child = await printed(b, "child");
    b.engine.stop("web");
    await eventually(() => b.engine.list().length === 0);
    expect(lives(child)).toBe(false);
  });

  test("leaves a program the time to end by itself", async () => {
    const b = bench({ stopTimeoutMs: 10_000 });
    start(b, shell('trap "echo bye; exit 0" TERM; echo up=1; while :; do sleep 0.01; done'));
    await printed(b, "up");
    b.engine.stop("web");
    await eventually(() => b.engine.list().length === 0);
    expect(logOf(b).at(-1)).toBe("bye");
  });

  test("ends a wait for the next start", async () => {
    const b = bench({ backoffMinMs: 60_000, backoffMaxMs: 60_000 });
    start(b, shell("exit 1"));
    await eventually(() => stateOf(b) === "backoff");
    b.engine.stop("web");
    await eventually(() => b.engine.list().length === 0);
  });

  test("a start while stopping comes after it, and a stop after that calls it off", async () => {
    const b = bench();
    start(b, shell("echo one; exec sleep 60"));
    await eventually(() => stateOf(b) === "healthy");
    b.engine.stop("web");
    start(b, shell("echo two; exec sleep 60"), 2);
    await eventually(() => logOf(b).includes("two"));
    b.engine.stop("web");
    start(b, shell("echo three; exec sleep 60"), 3);
    b.engine.stop("web");
    await eventually(() => b.engine.list().length === 0);
    expect(logOf(b)).toEqual(["one", "two"]);
  });

  test("of a program that could not be started does not start it again", async () => {
    const b = bench();
    start(b, serviceSpec({ exec: "/nowhere/program" }));
    b.engine.stop("web");
    await eventually(() => statesOf(b).includes("stopped"));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(b.engine.list()).toEqual([]);
    expect(statesOf(b).at(-1)).toBe("stopped");
  });
});

describe("health", () => {
  test("an exec check decides when the instance is healthy, and when no longer", async () => {
    const b = bench();
    const health: HealthCheck = { kind: "exec", command: ["test", "-e", "well"], ...timings };
    start(b, shell("sleep 0.1; touch well; sleep 0.3; rm well; exec sleep 60", { health }));
    await eventually(() => statesOf(b).includes("healthy"));
    await eventually(() => statesOf(b).includes("backoff"));
    const after = statesOf(b).slice(statesOf(b).indexOf("healthy"));
    expect(after.slice(0, 3)).toEqual(["healthy", "unhealthy", "backoff"]);
    const unhealthy = b.events.find(([, state]) => state === "unhealthy");
    expect(unhealthy?.[2]).toBe("test exited with code 1");
  });

  test("failures inside the grace time do not count", async () => {
    const b = bench();
    const health: HealthCheck = {
      kind: "exec",
      command: ["false"],
      ...timings,
      intervalMs: 1,
      graceMs: 60_000,
    };
    start(b, shell("echo up=1; exec sleep 60", { health }));
    await printed(b, "up");
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(statesOf(b)).toEqual(["starting"]);
  });

  test("a check that does not answer in time is a failure", async () => {
    const b = bench({ backoffMinMs: 60_000, backoffMaxMs: 60_000 });
    const health: HealthCheck = {
      kind: "exec",
      command: ["sleep", "60"],
      ...timings,
      timeoutMs: 20,
    };
    start(b, shell("exec sleep 60", { health }));
    await eventually(() => stateOf(b) === "backoff");
    expect(b.engine.list()[0]?.detail).toBe(
      "its health check keeps failing: no answer within 20 ms",
    );
  });

  test.each(["http", "tcp"] as const)("an %s check goes to the service's port", async (kind) => {
    const b = bench();
    const port = await freePort();
    const server = `require("http").createServer((q, a) => { a.statusCode = q.url === "/up" ? 204 : 500; a.end(); }).listen(${port}, process.env.MYCO_ADDRESS)`;
    const health: HealthCheck =
      kind === "http" ? { kind, port, path: "/up", ...timings } : { kind, port, ...timings };
    start(
      b,
      serviceSpec({
        exec: process.execPath,
        args: ["-e", server],
        health: { ...health, graceMs: 20_000 },
      }),
    );
    await eventually(() => stateOf(b) === "healthy");
  });

  test("an http check fails on an answer of 400 and above", async () => {
    const b = bench();
    const port = await freePort();
    const server = `require("http").createServer((q, a) => { a.statusCode = 503; a.end("x".repeat(1e6)); }).listen(${port}, "127.0.0.1")`;
    const health: HealthCheck = { kind: "http", port, path: "/a b", ...timings };
    start(b, serviceSpec({ exec: process.execPath, args: ["-e", server], health }));
    await eventually(() => b.events.some(([, , detail]) => detail === "GET /a b answered 503"));
  });
});

test("what an earlier daemon left running is stopped first, then its place is free", async () => {
  const earlier = bench({ backoffMinMs: 60_000, backoffMaxMs: 60_000 });
  start(earlier, shell("sleep 60 & echo child=$!; wait"), 5);
  const child = await printed(earlier, "child");
  const later = bench({}, earlier.workDir);
  expect(later.engine.list()).toMatchObject([{ name: "web", generation: 5, state: "stopping" }]);
  start(later, shell("exec sleep 60"), 6);
  await eventually(() => stateOf(later) === "healthy");
  expect(lives(child)).toBe(false);
  expect(later.engine.list()).toMatchObject([{ generation: 6 }]);
});

test("a note of a process that is no longer the noted one is not acted upon", async () => {
  const earlier = bench();
  start(earlier, shell("echo leader=$$; exec sleep 60"));
  const leader = await printed(earlier, "leader");
  const file = join(earlier.workDir, "running", "web.json");
  const note = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(file, JSON.stringify({ ...note, startTicks: note.startTicks - 1 }));
  const later = bench({}, earlier.workDir);
  expect(later.engine.list()).toEqual([]);
  expect(lives(leader)).toBe(true);
});

test.each(["", "null", "{}", '{"pid":1}', '{"pid":-1,"startTicks":0}', "\0\0", "[1,2"])(
  "a note that says %j is dropped",
  async (text) => {
    const workDir = mkdtempSync(join(tmpdir(), "myco-engine-"));
    mkdirSync(join(workDir, "running"));
    const file = join(workDir, "running", "web.json");
    writeFileSync(file, text);
    const b = bench({}, workDir);
    expect(b.engine.list()).toEqual([]);
    expect(existsSync(file)).toBe(false);
  },
);

test("closing ends everything, then says so", async () => {
  const b = bench();
  start(b, shell("exec sleep 60", { name: "a" }));
  start(b, shell("exec sleep 60", { name: "b" }));
  start(b, serviceSpec({ name: "c", flake: "github:example/c" }));
  await eventually(() => stateOf(b, "a") === "healthy" && stateOf(b, "b") === "healthy");
  await new Promise<void>((resolve) => b.engine.close(resolve));
  expect(b.engine.list()).toEqual([]);
});

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
