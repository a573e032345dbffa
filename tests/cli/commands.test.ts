// What the commands print and how they end, against an API that says what a test wants.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { instance, member, NODE_A, NODE_B, service, status } from "./answers.ts";
import { type Answerer, StandInApi } from "./stand-in-api.ts";
import { myco, type TerminalOptions } from "./terminal.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "myco-cli-"));
});

afterEach(() => rmSync(folder, { recursive: true }));

async function ask(answer: Answerer, args: string[], options: TerminalOptions = {}) {
  const api = await StandInApi.start(answer);
  try {
    const outcome = await myco([...args, "--socket", api.socket], options);
    return { ...outcome, asked: api.asked };
  } finally {
    await api.stop();
  }
}

function writeManifest(content: unknown): string {
  const text = typeof content === "string" ? content : JSON.stringify(content);
  writeFileSync(join(folder, "myco.json"), text);
  return folder;
}

describe("the front door", () => {
  test("help names every command, the exit codes and examples", async () => {
    const { exitCode, out } = await myco(["--help"]);
    expect(exitCode).toBe(0);
    for (const word of [
      "daemon",
      "cluster",
      "deploy",
      "undeploy",
      "logs",
      "flight",
      "Exit codes",
      "$ myco",
    ]) {
      expect(out).toContain(word);
    }
  });

  test("a misspelled command is a usage error with a suggestion", async () => {
    const { exitCode, err } = await myco(["stauts"]);
    expect(exitCode).toBe(2);
    expect(err).toContain("status");
  });

  test("no command at all shows the help and is a usage error", async () => {
    expect((await myco([])).exitCode).toBe(2);
    expect((await myco(["cluster"])).exitCode).toBe(2);
  });

  test("a value that is not allowed is answered with what is", async () => {
    const { exitCode, err } = await myco(["cluster", "invite", "--zone", "300"]);
    expect(exitCode).toBe(2);
    expect(err).toContain("from 0 to 255");
  });

  test("version tells the program's own", async () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    expect((await myco(["version"])).out).toContain(`myco ${version}`);
    expect(JSON.parse((await myco(["version", "--json"])).out)).toMatchObject({ myco: version });
  });
});

describe("without a daemon", () => {
  test("a socket that is not there is told as a daemon that does not run", async () => {
    const { exitCode, err } = await myco(["status", "--socket", join(folder, "none.sock")]);
    expect(exitCode).toBe(3);
    expect(err).toContain("the daemon is not running");
    expect(err).toContain("myco daemon");
  });

  test("a socket on which nobody answers too", async () => {
    const socket = join(folder, "stale.sock");
    const server = createServer().listen(socket);
    await new Promise((resolve) => server.once("listening", resolve));
    const { execFileSync } = await import("node:child_process");
    const listen = `require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, 9))`;
    server.close();
    try {
      execFileSync(process.execPath, ["-e", listen, socket], { stdio: "ignore" });
    } catch {
      // It killed itself, which leaves the socket's file behind.
    }
    const { exitCode, err } = await myco(["health"], { env: { MYCO_SOCKET: socket } });
    expect(exitCode).toBe(3);
    expect(err).toContain("nobody answers");
  });

  test("a refusal is told with its hint and problems", async () => {
    const answer: Answerer = () => ({
      status: 403,
      body: {
        error: { code: "x", message: "no\u0007deployer", hint: "ask root", problems: ["one"] },
      },
    });
    const { exitCode, err } = await ask(answer, ["services"]);
    expect(exitCode).toBe(5);
    expect(err).toBe("error: no\ufffddeployer\n  one\nhint: ask root\n");
  });
});

describe("lists", () => {
  test("members are a table, and JSON on demand", async () => {
    const members = [member(NODE_A, "a"), member(NODE_B, "b")];
    const answer: Answerer = () => ({ body: { members } });
    const { out } = await ask(answer, ["cluster", "members"]);
    const [head, first, second] = out.split("\n");
    expect(head).toMatch(/^NODE +HOST +STATUS/);
    expect(first).toContain("a (here)");
    expect(second).toMatch(/^bbbb000011112222 +b +alive +0 +member,deployer +0\.3 ms/);
    expect(JSON.parse((await ask(answer, ["cluster", "members", "--json"])).out)).toEqual(members);
  });

  test("services show how many are healthy and where", async () => {
    const services = [service("web", [instance("healthy")], { wanted: 2 })];
    const answer: Answerer = () => ({ body: { services } });
    expect((await ask(answer, ["services"])).out).toMatch(/web +1\/2 .*b healthy/);
    expect(JSON.parse((await ask(answer, ["services", "--json"])).out)).toEqual(services);
  });

  test("colours stay off pipes, and off a terminal under NO_COLOR", async () => {
    const answer: Answerer = () => ({ body: { members: [member(NODE_A, "a")] } });
    const args = ["cluster", "members"];
    expect((await ask(answer, args)).out).not.toContain("\u001b");
    expect((await ask(answer, args, { isTTY: true })).out).toContain("\u001b[32malive");
    const plain = await ask(answer, args, { isTTY: true, env: { NO_COLOR: "1" } });
    expect(plain.out).not.toContain("\u001b");
  });

  test("status tells the node's place and its problems", async () => {
    const problems = [{ code: "log", message: "the disk is full" }];
    const body = { ...status("cc".repeat(8)), health: { ok: false, problems } };
    const { exitCode, out } = await ask(() => ({ body }), ["status"]);
    expect(exitCode).toBe(0);
    expect(out).toContain("2 alive, 0 suspect");
    expect(out).toContain("problem: the disk is full");
  });

  test("health ends with 1 when something is wrong", async () => {
    const body = { ok: false, problems: [{ code: "log", message: "the disk is full" }] };
    const { exitCode, out } = await ask(() => ({ status: 503, body }), ["health"]);
    expect(exitCode).toBe(1);
    expect(out).toContain("the disk is full");
    expect((await ask(() => ({ body: { ok: true, problems: [] } }), ["health"])).exitCode).toBe(0);
  });
});

describe("deploy", () => {
  const deployed = { name: "web", key: "11".repeat(8), stamp: 100, generation: 7, lock: "" };

  function daemon(...states: Parameters<typeof instance>[0][]): Answerer {
    let asked = 0;
    return ({ path }) => {
      if (path === "/deploy") return { body: { services: [deployed] } };
      const state = states[Math.min(asked, states.length - 1)]!;
      asked += 1;
      return { body: service("web", [instance(state)]) };
    };
  }

  test("hands the manifest over and waits until it is healthy, a line for each change", async () => {
    const dir = writeManifest({ name: "web", exec: "/bin/true", flake: "./app#x" });
    const { exitCode, out, asked } = await ask(daemon("starting", "starting", "healthy"), [
      "deploy",
      dir,
    ]);
    expect(exitCode).toBe(0);
    expect(JSON.parse(asked[0]!.body.toString())).toMatchObject({ flake: `path:${folder}/app#x` });
    expect(out).toBe(
      "web: accepted, and safe on disk\nweb: 0 of 1 healthy (b starting)\nweb: 1 of 1 healthy (b healthy)\n",
    );
  });

  test("draws over its lines on a terminal", async () => {
    const dir = writeManifest({ name: "web", exec: "/bin/true" });
    const { out } = await ask(daemon("starting", "healthy"), ["deploy", dir], { isTTY: true });
    expect(out).toContain("\u001b[1A\u001b[2K");
  });

  test("gives up waiting after the timeout, with a code of its own", async () => {
    const dir = writeManifest({ name: "web", exec: "/bin/true" });
    const args = ["deploy", dir, "--timeout", "300ms"];
    const { exitCode, err } = await ask(daemon("failed"), args);
    expect(exitCode).toBe(6);
    expect(err).toContain("myco logs web");
  });

  test("does not wait with --no-wait", async () => {
    const dir = writeManifest({ name: "web", exec: "/bin/true" });
    const { exitCode, out, asked } = await ask(daemon("failed"), [
      "deploy",
      dir,
      "--no-wait",
      "--json",
    ]);
    expect(exitCode).toBe(0);
    expect(asked).toHaveLength(1);
    expect(JSON.parse(out)).toEqual({ services: [deployed], rollouts: [] });
  });

  test("shows the line of a mistake, and asks the daemon nothing", async () => {
    const dir = writeManifest('{\n  "name": "Web",\n  "exec": "/bin/true"\n}\n');
    const { exitCode, err, asked } = await ask(daemon("healthy"), ["deploy", dir]);
    expect(exitCode).toBe(2);
    expect(err).toMatch(
      /myco\.json:2:11: name: found "Web".*\n {2}2 \| {3}"name": "Web",\n {4}\| +\^/,
    );
    expect(asked).toEqual([]);
  });

  test("a folder without a manifest is told so", async () => {
    const empty = join(folder, "empty");
    mkdirSync(empty);
    const { exitCode, err } = await ask(daemon("healthy"), ["deploy", "empty"], { cwd: folder });
    expect(exitCode).toBe(2);
    expect(err).toContain(join(empty, "myco.json"));
  });
});

describe("the rest", () => {
  test("undeploy goes on after a name that is not there, and says so in the end", async () => {
    const answer: Answerer = ({ path }) =>
      path === "/services/web"
        ? { body: { name: "web", stamp: 1 } }
        : { status: 404, body: { error: { code: "unknown-service", message: "no such service" } } };
    const { exitCode, out, asked } = await ask(answer, ["undeploy", "nope", "web"]);
    expect(exitCode).toBe(4);
    expect(out).toBe("web: undeployed\n");
    expect(asked.map(({ method }) => method)).toEqual(["DELETE", "DELETE"]);
  });

  test("logs are printed as they come", async () => {
    const { exitCode, out, asked } = await ask(
      () => ({ body: "one\ntwo\n" }),
      ["logs", "web", "-n", "2"],
    );
    expect(exitCode).toBe(0);
    expect(out).toBe("one\ntwo\n");
    expect(asked[0]?.path).toBe("/logs?service=web&lines=2");
  });

  test("flight says which file the daemon wrote, or writes its own", async () => {
    const event = {
      at: "1970-01-01T00:00:00.000Z",
      kind: "deploy",
      name: "web",
      note: "two words",
    };
    const answer: Answerer = ({ method }) => ({
      body: method === "POST" ? { file: "/x/flight.ndjson" } : `${JSON.stringify(event)}\n`,
    });
    expect((await ask(answer, ["flight"])).out).toBe("/x/flight.ndjson\n");
    const file = join(folder, "flight.ndjson");
    expect((await ask(answer, ["flight", "--out", file])).exitCode).toBe(0);
    expect((await myco(["flight", "show", file])).out).toBe(
      '1970-01-01T00:00:00.000Z  deploy  name=web note="two words"\n',
    );
  });

  test("config check tells mistakes with their place, and defaults where there are none", async () => {
    const good = join(folder, "good.yaml");
    writeFileSync(good, "hostname: box\n");
    const checked = await myco(["config", "check", good]);
    expect(checked.exitCode).toBe(0);
    expect(JSON.parse(checked.out)).toMatchObject({
      hostname: "box",
      socket: "/run/myco/myco.sock",
    });
    const bad = join(folder, "bad.yaml");
    writeFileSync(bad, "hostnam: box\n");
    const refused = await myco(["config", "check", bad]);
    expect(refused.exitCode).toBe(2);
    expect(refused.err).toContain("hostname");
  });

  test("the socket comes from the configuration when nothing nearer names it", async () => {
    const file = join(folder, "config.yaml");
    writeFileSync(file, `socket: ${join(folder, "there.sock")}\n`);
    const { err } = await myco(["status"], { env: { MYCO_CONFIG: file } });
    expect(err).toContain("there.sock");
  });
});
