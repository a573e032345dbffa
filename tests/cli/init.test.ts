// `myco init`: what it writes, what it asks, and that what it wrote runs.

import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { freeTcpPort } from "../../demo/ports.ts";
import { readManifest } from "../../src/schema/manifest.ts";
import { myco } from "./terminal.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "myco-init-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const init = (...args: string[]) => myco(["init", ...args], { cwd: folder });

describe("a new service", () => {
  test.each([
    ["python", ["server.py"], false],
    ["go", ["go.mod", "main.go"], false],
    ["node", ["server.mjs"], true],
  ])("in %s has a program, a flake and a manifest that deploys", async (language, program, jit) => {
    const { exitCode, out } = await init("hello", "--language", language, "--port", "9000");
    expect(exitCode).toBe(0);
    const files = ["flake.lock", "flake.nix", "myco.json", ...program].sort();
    expect(readdirSync(join(folder, "hello")).sort()).toEqual(files);
    for (const word of ["cd hello", "nix flake check", "myco deploy"]) expect(out).toContain(word);
    const file = join(folder, "hello", "myco.json");
    const [spec] = readManifest(readFileSync(file, "utf8"), file);
    expect(spec).toMatchObject({ name: "hello", exec: "bin/hello", jit });
    expect(spec!.ports).toMatchObject([{ port: 9000 }]);
    expect(spec!.health).toMatchObject({ kind: "http", path: "/health" });
    expect(spec!.memoryMaxBytes).toBeGreaterThan(0);
  });

  test("is called as its folder, or as it is told", async () => {
    mkdirSync(join(folder, "My_Folder"));
    const refused = await init("My_Folder", "--language", "go");
    expect(refused.exitCode).toBe(2);
    expect(refused.err).toContain("--name");
    expect((await init("My_Folder", "--language", "go", "--name", "ok")).exitCode).toBe(0);
    expect((await init("other", "--language", "go", "--name", "Not_ok")).exitCode).toBe(2);
    expect(existsSync(join(folder, "other"))).toBe(false);
  });

  test("is never written over what is there", async () => {
    writeFileSync(join(folder, "myco.json"), "mine");
    writeFileSync(join(folder, "server.py"), "mine too");
    const { exitCode, err } = await init("--language", "python", "--name", "hello");
    expect(exitCode).toBe(5);
    expect(err).toContain("myco.json, server.py");
    expect(readdirSync(folder).sort()).toEqual(["myco.json", "server.py"]);
    expect(readFileSync(join(folder, "myco.json"), "utf8")).toBe("mine");
  });
});

describe("what is missing", () => {
  test("is asked for on a terminal, and nothing else", async () => {
    const typed = { cwd: folder, isTTY: true, stdin: "node\nhello\n" };
    mkdirSync(join(folder, "1"));
    const { exitCode, out } = await myco(["init", "1"], typed);
    expect(exitCode).toBe(0);
    expect(out).toContain("Language (python, go, node): Name of the service: ");
    expect(existsSync(join(folder, "1", "server.mjs"))).toBe(true);
    const quiet = await myco(["init", "hello", "--language", "go"], { ...typed, stdin: "" });
    expect(quiet.exitCode).toBe(0);
    expect(quiet.out).not.toContain("Name");
  });

  test("is an error that names the option anywhere else, or when the answer makes no sense", async () => {
    const piped = await myco(["init", "hello"], { cwd: folder, stdin: "go\n" });
    expect(piped.exitCode).toBe(2);
    expect(piped.err).toContain("--language");
    const typed = await myco(["init", "hello"], { cwd: folder, isTTY: true, stdin: "cobol\n" });
    expect(typed.exitCode).toBe(2);
    expect(typed.err).toContain("cobol");
    const ended = await myco(["init", "hello"], { cwd: folder, isTTY: true, stdin: "" });
    expect(ended.exitCode).toBe(2);
    expect(readdirSync(folder)).toEqual([]);
  });
});

test("every flake has the pin of this project's own, should it have one", async () => {
  const own = fileURLToPath(new URL("../../flake.lock", import.meta.url));
  await init("hello", "--language", "go");
  const lock = JSON.parse(readFileSync(join(folder, "hello", "flake.lock"), "utf8"));
  expect(lock.nodes.nixpkgs.locked.narHash).toMatch(/^sha256-/);
  if (!existsSync(own)) return;
  expect(lock.nodes.nixpkgs).toEqual(JSON.parse(readFileSync(own, "utf8")).nodes.nixpkgs);
});

describe("the program", () => {
  test.each([
    ["python", "python3", "server.py"],
    ["node", process.execPath, "server.mjs"],
  ])("in %s answers its health check, and ends when told", async (language, runtime, file) => {
    await init("hello", "--language", language);
    const port = await freeTcpPort(["127.0.0.1"]);
    const child = spawn(runtime, [join(folder, "hello", file)], {
      env: { PATH: process.env.PATH ?? "", PORT: String(port) },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ended = new Promise((resolve) => child.once("exit", resolve));
    try {
      await new Promise((resolve) => child.stdout.once("data", resolve));
      const answers = await untilAnswered(port);
      expect(answers).toEqual([200, 200, 404]);
    } finally {
      child.kill("SIGTERM");
      await ended;
    }
  });
});

/** The statuses of the health check, the front page and what is not there. */
async function untilAnswered(port: number): Promise<number[]> {
  for (;;) {
    try {
      const paths = ["/health", "/", "/nothing"];
      const all = paths.map((path) => fetch(`http://127.0.0.1:${port}${path}`));
      return (await Promise.all(all)).map(({ status }) => status);
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
