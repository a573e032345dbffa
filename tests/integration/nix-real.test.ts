// The builder against the real nix of this machine: a flake in a git repository whose derivations
// are built by the machine's own shell.

import { execFileSync } from "node:child_process";
import { chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BackgroundRunner } from "../../src/engine/background.ts";
import { NixBuilder } from "../../src/engine/nix.ts";
import type { BuildOutcome, BuildProgress, BuildRequest } from "../../src/engine/ports.ts";
import { SystemChildren } from "../../src/io/children.ts";
import { RealLinkFolder } from "../../src/io/link-folder.ts";
import { RealSystemFiles } from "../../src/io/system-files.ts";

const NIX_CONFIG = `substituters =
build-users-group =
sandbox = true
sandbox-fallback = false
sandbox-paths = /bin /usr /lib /lib64`;
/** In every test's folder, so that no two runs build the same. */
const salt = `${process.pid}-${Date.now()}`;
const folder = mkdtempSync(join(tmpdir(), "myco-nix-"));
const repository = join(folder, "repository");
const flake = `git+file://${repository}`;
const homeDir = join(folder, "home");
const roots = new RealLinkFolder(join(folder, "roots"));
const reason = await whyNot();
let builder: NixBuilder;
let ticking: NodeJS.Timeout;

/** Why nix cannot be tried here, or null. Installs it where that is possible. */
async function whyNot(): Promise<string | null> {
  if (process.getuid?.() !== 0) return "only root may write to /nix/store";
  if (hasNix()) return null;
  try {
    execFileSync("apt-get", ["install", "-y", "-q", "--no-install-recommends", "nix-bin", "git"], {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      stdio: "ignore",
    });
  } catch {
    return "there is no nix, and apt-get cannot install it";
  }
  return hasNix() ? null : "there is no nix";
}

function hasNix(): boolean {
  try {
    execFileSync("nix", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function createBuilder(): NixBuilder {
  const background = new BackgroundRunner({
    children: new SystemChildren({ stateDir: null }),
    runner: "direct",
    environment: {
      PATH: process.env.PATH ?? "",
      HOME: homeDir,
      XDG_CACHE_HOME: join(homeDir, ".cache"),
      NIX_CONFIG,
    },
  });
  const files = new RealSystemFiles();
  return new NixBuilder({ background, files, roots, homeDir, buildTimeoutMs: 600_000 });
}

function git(...args: string[]): string {
  const who = [
    "-c",
    "user.name=Test",
    "-c",
    "user.email=test@example.org",
    "-c",
    "safe.directory=*",
  ];
  return execFileSync("git", [...who, "-C", repository, ...args], { encoding: "utf8" }).trim();
}

/** Commits a flake whose `default` prints `text`. */
function commit(text: string): string {
  const derivation = (name: string, script: string): string => `packages.x86_64-linux.${name} =
    derivation { name = "${name}-${salt}"; system = "x86_64-linux"; builder = "/bin/sh";
      args = [ "-c" ''${script}'' ]; };`;
  const outputs = [
    derivation("default", `/bin/sleep 0.5; echo ${text} > $out`),
    derivation("fails", "echo first words; echo because of this >&2; exit 3"),
    derivation("slow", `echo $$ > $out; /bin/sleep 300.${process.pid}`),
  ];
  writeFileSync(
    join(repository, "flake.nix"),
    `{ outputs = { self }: {\n${outputs.join("\n")}\n}; }\n`,
  );
  git("add", ".");
  git("commit", "-q", "-m", text);
  return git("rev-parse", "HEAD");
}

interface Watched {
  readonly progress: BuildProgress[];
  readonly end: Promise<BuildOutcome>;
}

function build(request: Partial<BuildRequest>): Watched {
  const progress: BuildProgress[] = [];
  const whole = { service: "web", generation: 1, flake, lock: "", ...request };
  const end = new Promise<BuildOutcome>((resolve) =>
    builder.build(whole, (told) => progress.push(told), resolve),
  );
  return { progress, end };
}

async function lockOf(reference: string): Promise<string> {
  const locked = await builder.lock(reference);
  if ("error" in locked) throw new Error(locked.error);
  return locked.lock;
}

async function builtText(request: Partial<BuildRequest>): Promise<string> {
  const outcome = await build(request).end;
  if (!outcome.ok) throw new Error(outcome.message);
  return execFileSync("cat", [outcome.storePath], { encoding: "utf8" }).trim();
}

async function eventually(holds: () => boolean): Promise<boolean> {
  for (let i = 0; i < 200 && !holds(); i += 1) await new Promise((go) => setTimeout(go, 50));
  return holds();
}

function sleeperLives(): boolean {
  return execFileSync("ps", ["-eo", "args"], { encoding: "utf8" }).includes(
    `sleep 300.${process.pid}`,
  );
}

beforeAll(() => {
  if (reason !== null) return;
  mkdirSync(repository);
  mkdirSync(homeDir);
  execFileSync("git", ["init", "-q", "-b", "main", repository]);
  builder = createBuilder();
  ticking = setInterval(() => builder.tick(performance.now()), 50);
});

afterAll(() => {
  clearInterval(ticking);
  rmSync(folder, { recursive: true, force: true });
});

describe.skipIf(reason !== null)(`with the machine's nix (${reason ?? "found"})`, () => {
  it("builds what a repository's branch is now, and the old again once it has moved on", async () => {
    const first = commit("one");
    const firstLock = await lockOf(flake);
    expect(firstLock).toBe(first);
    expect(await builtText({ lock: firstLock })).toBe("one");

    const second = commit("two");
    expect(await lockOf(flake)).toBe(second);
    expect(await builtText({ generation: 2, lock: second })).toBe("two");
    roots.remove("web.1");
    expect(await builtText({ generation: 1, lock: firstLock })).toBe("one");
  });

  it("builds what is committed, whatever else lies in the folder", async () => {
    const committed = commit("committed");
    writeFileSync(join(repository, "flake.nix"), "this is no flake");
    expect(await lockOf(flake)).toBe(committed);
    expect(await builtText({ generation: 3, lock: committed })).toBe("committed");
    git("checkout", "-q", ".");
  });

  it("builds from a repository that belongs to another user", async () => {
    const committed = commit("theirs");
    for (const path of ["", ".git"]) chownSync(join(repository, path), 12_345, 12_345);
    expect(await lockOf(flake)).toBe(committed);
    expect(await builtText({ generation: 4, lock: committed })).toBe("theirs");
    for (const path of ["", ".git"]) chownSync(join(repository, path), 0, 0);
  });

  it("locks a folder by the hash of its files, and says when they are others", async () => {
    commit("folder");
    const copy = join(folder, "copy");
    execFileSync("cp", ["-r", repository, copy]);
    rmSync(join(copy, ".git"), { recursive: true });
    const reference = `path:${copy}`;
    const lock = await lockOf(reference);
    expect(lock).toMatch(/^sha256-/);
    expect(await builtText({ generation: 5, flake: reference, lock })).toBe("folder");
  });

  it("tells why a build failed, with the builder's last words", async () => {
    const lock = commit("fails");
    const { end } = build({ generation: 6, flake: `${flake}#fails`, lock });
    expect(await end).toMatchObject({
      ok: false,
      retry: true,
      message: expect.stringMatching(/failed with exit code 3.*because of this/),
    });
  });

  it("does not try again what no other try mends", async () => {
    const lock = commit("nope");
    expect(await build({ generation: 7, flake: `${flake}#nope`, lock }).end).toMatchObject({
      ok: false,
      retry: false,
      message: expect.stringMatching(/does not provide attribute/),
    });
    const nowhere = `path:${join(folder, "nowhere")}`;
    expect(await builder.lock(nowhere)).toMatchObject({
      error: expect.stringMatching(/No such file/),
    });
  });

  it("tells what is built, and ends a build that is cancelled with all it started", async () => {
    const lock = commit("slow");
    const { progress, end } = build({ generation: 8, flake: `${flake}#slow`, lock });
    void end.then(() => expect.unreachable("a cancelled build has no end"));
    expect(await eventually(sleeperLives)).toBe(true);
    const isTold = (): boolean => progress.some(({ phase }) => phase === "building");
    expect(await eventually(isTold)).toBe(true);
    builder.cancel("web");
    expect(await eventually(() => !sleeperLives())).toBe(true);
    expect(await builtText({ generation: 9, lock })).toBe("slow");
  });

  it("keeps from the collector what is kept, and nothing else", async () => {
    const lock = commit("kept");
    const outcome = await build({ generation: 10, lock }).end;
    if (!outcome.ok) throw new Error(outcome.message);
    const collect = (): void => {
      const env = { ...process.env, HOME: homeDir, NIX_CONFIG };
      const args = ["--extra-experimental-features", "nix-command", "store", "delete"];
      try {
        execFileSync("nix", [...args, outcome.storePath], { env, stdio: "ignore" });
      } catch {
        // It is alive.
      }
    };
    builder.keep("web", [outcome.storePath]);
    collect();
    expect(existsSync(outcome.storePath)).toBe(true);
    expect(roots.list()).toHaveLength(1);
    builder.keep("web", []);
    expect(roots.list()).toEqual([]);
    collect();
    expect(existsSync(outcome.storePath)).toBe(false);
  });
});
