import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FLAKE_LOCKS_AT_ONCE } from "../../src/kernel/limits.ts";
import {
  BUILD_TIMEOUT_MS,
  REVISION,
  requestOf,
  StandInNix,
  settle,
  storePathOf,
  watch,
} from "./stand-in-nix.ts";

const metadata = JSON.stringify({ locked: { type: "github", rev: REVISION } });

async function ready(runner: "systemd" | "direct" = "direct"): Promise<StandInNix> {
  const nix = new StandInNix(runner);
  await settle();
  return nix;
}

describe("a build", () => {
  it("is of the locked flake, and ends with its store path", async () => {
    const nix = await ready();
    const told = watch(nix, requestOf("web", 7));
    nix.builder.tick(0);
    const [build] = nix.running;
    expect(build!.installable).toBe(`github:o/web/${REVISION}#web`);
    expect(build!.root).toBe("/roots/web.7");
    expect(build!.command.args).toContain("--no-update-lock-file");
    build!.succeed(storePathOf("web"));
    await settle();
    expect(told.ends).toEqual([{ ok: true, storePath: storePathOf("web"), lock: REVISION }]);
  });

  it("is resolved first where its flake is not locked", async () => {
    const nix = await ready();
    nix.answer = () => Promise.resolve({ exitCode: 0, stdout: metadata, stderr: "" });
    const told = watch(nix, { ...requestOf("web", 7), lock: "" });
    nix.builder.tick(0);
    await settle();
    nix.running[0]!.succeed(storePathOf("web"));
    await settle();
    expect(told.ends).toMatchObject([{ ok: true, lock: REVISION }]);
  });

  it("is not made again where its root stands", async () => {
    const nix = await ready();
    nix.links.set("web.7", storePathOf("web"));
    const told = watch(nix, requestOf("web", 7));
    nix.builder.tick(0);
    expect(nix.running).toEqual([]);
    expect(told.ends).toMatchObject([{ ok: true, storePath: storePathOf("web") }]);
  });

  it.each(["/etc/passwd", `${storePathOf("a")}/../../etc`, "/nix/store/short-x"])(
    "does not end well with %s for a store path",
    async (path) => {
      const nix = await ready();
      const told = watch(nix, requestOf("web", 7));
      nix.builder.tick(0);
      nix.running[0]!.succeed(path);
      expect(told.ends).toMatchObject([{ ok: false, retry: true }]);
    },
  );

  it("tells progress four times a second at most, the latest last", async () => {
    const nix = await ready();
    const told = watch(nix, requestOf("web", 7));
    for (let nowMs = 0; nowMs < 10_000; nowMs += 100) {
      nix.builder.tick(nowMs);
      const text = `building '${nowMs}'`;
      nix.running[0]?.say(`@nix ${JSON.stringify({ action: "start", id: 1, type: 105, text })}`);
    }
    expect(told.progress.length).toBeGreaterThan(20);
    expect(told.progress.length).toBeLessThanOrEqual(40);
    expect(told.progress.at(-1)).toMatchObject({ phase: "building" });
  });

  it("is ended when it takes too long, and tried again later", async () => {
    const nix = await ready();
    const told = watch(nix, requestOf("web", 7));
    nix.builder.tick(0);
    const [build] = nix.running;
    nix.builder.tick(BUILD_TIMEOUT_MS - 1);
    expect(build!.wasEnded).toBe(false);
    nix.builder.tick(BUILD_TIMEOUT_MS);
    expect(build!.wasEnded).toBe(true);
    build!.exit("was ended by SIGTERM");
    expect(told.ends).toMatchObject([
      { ok: false, retry: true, message: expect.stringMatching(/after 10 min.*buildTimeout/) },
    ]);
  });

  it("is told once the disk has what was built, and not when it was cancelled meanwhile", async () => {
    const nix = await ready();
    let reachDisk = (): void => {};
    nix.answer = () =>
      new Promise((resolve) => {
        reachDisk = () => resolve({ exitCode: 0, stdout: "", stderr: "" });
      });
    const told = watch(nix, requestOf("web", 1));
    nix.builder.tick(0);
    nix.running[0]!.succeed(storePathOf("web"));
    await settle();
    expect(nix.runs.at(-1)?.slice(-3)).toEqual(["sync", "--file-system", storePathOf("web")]);
    expect(told.ends).toEqual([]);
    reachDisk();
    await settle();
    expect(told.ends).toMatchObject([{ ok: true }]);

    const withdrawn = watch(nix, requestOf("web", 2));
    nix.builder.tick(1_000);
    nix.running[0]!.succeed(storePathOf("web"));
    nix.builder.cancel("web");
    const next = watch(nix, requestOf("web", 3));
    nix.builder.tick(2_000);
    expect(nix.running).toEqual([]);
    reachDisk();
    await settle();
    nix.builder.tick(3_000);
    expect(nix.running[0]!.root).toBe("/roots/web.3");
    expect([withdrawn.ends, next.ends]).toEqual([[], []]);
  });

  it("is ended by another generation, which begins once the first has ended", async () => {
    const nix = await ready();
    const first = watch(nix, requestOf("web", 1));
    nix.builder.tick(0);
    const [old] = nix.running;
    const second = watch(nix, requestOf("web", 2));
    nix.builder.tick(100);
    expect(old!.wasEnded).toBe(true);
    expect(nix.running).toEqual([old]);
    old!.exit("was ended by SIGTERM");
    nix.builder.tick(200);
    expect(nix.running[0]!.root).toBe("/roots/web.2");
    nix.running[0]!.succeed(storePathOf("web"));
    await settle();
    expect([first.ends.length, second.ends.length]).toEqual([0, 1]);
  });

  it("that failed waits before it is tried again: 30 s, doubling to an hour", async () => {
    const nix = await ready();
    const startsMs: number[] = [];
    let told = watch(nix, requestOf("web", 1));
    for (let nowMs = 0; nowMs < 5 * 3_600_000; nowMs += 10_000) {
      nix.builder.tick(nowMs);
      if (nix.running.length === 0) continue;
      startsMs.push(nowMs);
      nix.running[0]!.exit("exited with code 1");
      expect(told.ends).toMatchObject([{ ok: false, retry: true }]);
      told = watch(nix, requestOf("web", 1));
    }
    const waits = startsMs.slice(1).map((startMs, i) => (startMs - startsMs[i]!) / 1_000);
    expect(waits.slice(0, 8)).toEqual([30, 60, 120, 240, 480, 960, 1920, 3600]);
    expect(told.progress[0]).toMatchObject({ phase: "waiting" });
  });

  it("of another generation does not wait for the failures of the one before", async () => {
    const nix = await ready();
    watch(nix, requestOf("web", 1));
    nix.builder.tick(0);
    nix.running[0]!.exit("exited with code 1");
    watch(nix, requestOf("web", 2));
    nix.builder.tick(100);
    expect(nix.running[0]!.root).toBe("/roots/web.2");
  });

  it("is not tried with a lock that is none, nor one of another kind", async () => {
    const nix = await ready();
    const locks = ["--impure", "sha256-8HxBmqJlCqMghmDIu+uYnoQWyeZWpnUJyqbudeDTojo="];
    for (const [index, lock] of locks.entries()) {
      const told = watch(nix, { ...requestOf("web", index), lock });
      nix.builder.tick(index);
      expect(told.ends).toMatchObject([{ ok: false, retry: false }]);
    }
    expect(nix.running).toEqual([]);
  });

  it("lets close wait for what still ends", async () => {
    const nix = await ready();
    watch(nix, requestOf("web", 1));
    nix.builder.tick(0);
    let isClosed = false;
    nix.builder.close(() => {
      isClosed = true;
    });
    expect(isClosed).toBe(false);
    nix.running[0]!.exit("was ended by SIGTERM");
    expect(isClosed).toBe(true);
  });
});

describe("builds", () => {
  it("run one at a time, and each is told its end once, whatever is asked", async () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant("build" as const),
        service: fc.constantFrom("a", "b", "c"),
        generation: fc.nat(3),
      }),
      fc.record({ kind: fc.constant("cancel" as const), service: fc.constantFrom("a", "b", "c") }),
      fc.record({ kind: fc.constantFrom("succeed" as const, "fail" as const, "end" as const) }),
      fc.record({ kind: fc.constant("settle" as const) }),
      fc.record({ kind: fc.constant("tick" as const), ms: fc.nat(100_000) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        const nix = await ready();
        const all: ReturnType<typeof watch>[] = [];
        let nowMs = 0;
        const endRunning = (): void => {
          for (const build of [...nix.running]) build.succeed(storePathOf("x"));
        };
        for (const taken of steps) {
          if (taken.kind === "build")
            all.push(watch(nix, requestOf(taken.service, taken.generation)));
          else if (taken.kind === "cancel") nix.builder.cancel(taken.service);
          else if (taken.kind === "tick") nowMs += taken.ms;
          else if (taken.kind === "settle") await settle();
          else if (taken.kind === "succeed") endRunning();
          else if (taken.kind === "fail") nix.running[0]?.exit("exited with code 1");
          else if (nix.running[0]?.wasEnded) nix.running[0].exit("was ended by SIGTERM");
          nix.builder.tick(nowMs);
          expect(nix.running.length).toBeLessThanOrEqual(1);
          for (const { ends } of all) expect(ends.length).toBeLessThanOrEqual(1);
        }
        // Then what is wanted in the end is built, once the waits are over.
        const last = ["a", "b", "c"].map((service) => {
          nix.builder.cancel(service);
          return watch(nix, requestOf(service, 9));
        });
        for (let i = 0; i < 10; i += 1) {
          endRunning();
          await settle();
          nowMs += 3_600_000;
          nix.builder.tick(nowMs);
        }
        for (const { ends } of last) expect(ends).toMatchObject([{ ok: true }]);
      }),
      { numRuns: 60 },
    );
  });
});

describe("roots", () => {
  it("stay for what is kept, one each, and go for the rest of that service alone", async () => {
    const nix = await ready();
    nix.links.set("web.1", storePathOf("old"));
    nix.links.set("web.2", storePathOf("new"));
    nix.links.set("web.3", storePathOf("new"));
    nix.links.set("web-x.1", storePathOf("other"));
    nix.builder.keep("web", [storePathOf("new")]);
    expect([...nix.links.keys()].sort()).toEqual(["web-x.1", "web.2"]);
    nix.builder.keep("web", []);
    expect([...nix.links.keys()]).toEqual(["web-x.1"]);
  });

  it("of a build under way are not taken from under it", async () => {
    const nix = await ready();
    watch(nix, requestOf("web", 2));
    nix.builder.tick(0);
    nix.links.set("web.2", storePathOf("new"));
    nix.builder.keep("web", [storePathOf("old")]);
    expect([...nix.links.keys()]).toEqual(["web.2"]);
  });

  it("of services that are wanted no more go after a restart", async () => {
    const nix = await ready();
    nix.links.set("web.1", storePathOf("a"));
    nix.links.set("gone.1", storePathOf("b"));
    nix.builder.keepOnlyServices(new Set(["web"]));
    expect([...nix.links.keys()]).toEqual(["web.1"]);
  });
});

describe("locking", () => {
  it("trusts a repository of another user that a deployer names, and no other", async () => {
    const nix = await ready();
    nix.answer = () => Promise.resolve({ exitCode: 0, stdout: metadata, stderr: "" });
    await nix.builder.lock('git+file:///srv/a"b#web');
    const configuration = nix.files.get("/home/.gitconfig");
    expect(configuration).toContain('directory = "/srv/a\\"b"');
    expect(configuration).not.toContain("*");
  });

  it("asks what stands there now, not what nix fetched within the hour", async () => {
    const nix = await ready();
    nix.answer = () => Promise.resolve({ exitCode: 0, stdout: metadata, stderr: "" });
    await nix.builder.lock("git://example.org/web");
    expect(nix.runs.find((words) => words.includes("metadata"))).toContain("--refresh");
  });

  it("is refused when too many are under way, and goes on after", async () => {
    const nix = await ready();
    const answers: (() => void)[] = [];
    nix.answer = () =>
      new Promise((resolve) =>
        answers.push(() => resolve({ exitCode: 0, stdout: metadata, stderr: "" })),
      );
    const pending = Array.from({ length: FLAKE_LOCKS_AT_ONCE }, () =>
      nix.builder.lock("github:o/r"),
    );
    await settle();
    expect(await nix.builder.lock("github:o/r")).toMatchObject({ error: expect.any(String) });
    for (const answer of answers) answer();
    expect(await Promise.all(pending)).toMatchObject(pending.map(() => ({ lock: REVISION })));
  });

  it("tells nix's own error, without the way to it", async () => {
    const nix = await ready();
    const stderr = "warning: x\nerror: unable to download 'https://x': HTTP error 404";
    nix.answer = () => Promise.resolve({ exitCode: 1, stdout: "", stderr });
    expect(await nix.builder.lock("github:o/r")).toEqual({
      error: "unable to download 'https://x': HTTP error 404",
    });
  });
});

describe("with systemd", () => {
  it("ends what an earlier daemon left before it builds, and its own build by its unit", async () => {
    const nix = new StandInNix("systemd");
    expect(nix.runs[0]!.slice(0, 3)).toEqual(["systemctl", "stop", "myco-build@*.service"]);
    await settle();
    const told = watch(nix, { ...requestOf("web", 1), flake: "github:o/web?dir=$HOME#web" });
    nix.builder.tick(0);
    const [build] = nix.running;
    expect(build!.command.program).toBe("systemd-run");
    expect(build!.command.args).toContain("--unit=myco-build@web.service");
    expect(build!.installable).toContain("$$HOME");
    nix.builder.cancel("web");
    expect(nix.runs.at(-1)).toEqual(["systemctl", "stop", "myco-build@web.service"]);
    await settle();
    expect(build!.wasEnded).toBe(true);
    expect(told.ends).toEqual([]);
  });
});
