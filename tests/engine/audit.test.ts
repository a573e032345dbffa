import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AuditLog } from "../../src/engine/audit.ts";
import { type AuditEntry, deploymentHash, parseAuditLine } from "../../src/engine/audit-line.ts";
import { type AuditFileText, verifyAudit } from "../../src/engine/audit-verify.ts";
import { AUDIT_FILES_MAX, AUDIT_WAITING_MAX } from "../../src/kernel/limits.ts";
import type { AppendFile } from "../../src/kernel/system-ports.ts";

const hashText = (text: string): string => createHash("sha256").update(text).digest("hex");

/** The disk: files oldest last, writes that end when told to. */
class MemoryFile implements AppendFile {
  readonly files: string[] = [];
  /** What becomes of the next writes: how many characters reach the disk, then an error. */
  tearAt: number | null = null;

  readEnd(bytesMax: number) {
    const text = this.files[0] ?? "";
    return {
      isCurrent: this.files.length > 0,
      text: text.slice(-bytesMax),
      sizeBytes: text.length,
    };
  }

  append(text: string, done: (error: Error | null) => void): void {
    this.files[0] = (this.files[0] ?? "") + text.slice(0, this.tearAt ?? text.length);
    done(this.tearAt === null ? null : new Error("ENOSPC"));
  }

  rotate(firstText: string, filesMax: number, done: (error: Error | null) => void): void {
    if (this.tearAt === null) {
      this.files.unshift(firstText);
      this.files.splice(filesMax);
    }
    done(this.tearAt === null ? null : new Error("ENOSPC"));
  }

  texts(): AuditFileText[] {
    return this.files.map((text, i) => ({ name: `audit.log.${i}`, text })).reverse();
  }
}

function entryOf(service: string): AuditEntry {
  return {
    service,
    author: "0123456789abcdef",
    generation: 7,
    flake: "github:o/r#web",
    commit: "52edf4253084440c16a6aff195899a0f808320e9",
    storePath: "/nix/store/x",
    deployment: hashText(service),
  };
}

function open(file: AppendFile, fileBytesMax = 1_000_000) {
  const problems: (string | null)[] = [];
  const log = new AuditLog({
    file,
    hashText,
    nowMs: () => 1_790_000_000_000,
    onProblem: (problem) => problems.push(problem),
    fileBytesMax,
  });
  return { log, problems };
}

let clockMs = 0;
function nextMs(): number {
  clockMs += 10_000;
  return clockMs;
}

function run(log: AuditLog): void {
  for (let i = 0; i < 3 * AUDIT_WAITING_MAX; i += 1) log.tick(nextMs());
}

function write(file: MemoryFile, services: readonly string[], fileBytesMax?: number): void {
  for (const service of services) {
    const { log } = open(file, fileBytesMax);
    log.append(entryOf(service));
    run(log);
  }
}

const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `web-${i}`);

describe("the audit log", () => {
  it("has a line for each deployment, in a chain that is verified", () => {
    const file = new MemoryFile();
    write(file, ["one", "two"]);
    const lines = file.files[0]!.trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { n: 1, event: "begun" },
      { n: 2, event: "deployed", service: "one", time: "2026-09-21T14:13:20.000Z" },
      { n: 3, event: "deployed", service: "two" },
    ]);
    expect(verifyAudit(hashText, file.texts())).toMatchObject({ ok: true, lineCount: 3 });
  });

  it("goes on in a new file when one is full, keeps a bounded number, and still verifies", () => {
    const file = new MemoryFile();
    write(file, names(60), 6_000);
    expect(file.files).toHaveLength(AUDIT_FILES_MAX);
    const verdict = verifyAudit(hashText, file.texts());
    expect(verdict).toMatchObject({ ok: true });
    if (verdict.ok) expect(verdict.firstNumber).toBeGreaterThan(1);
  });

  it("says so when the oldest file is missing that did not have to go", () => {
    const file = new MemoryFile();
    write(file, names(12), 6_000);
    file.files.pop();
    expect(verifyAudit(hashText, file.texts())).toMatchObject({
      ok: false,
      problem: expect.stringMatching(/^lines 1 to \d+ of the log are missing$/),
    });
  });

  it("makes no file where nothing was deployed", () => {
    const file = new MemoryFile();
    run(open(file).log);
    expect(file.files).toEqual([]);
    expect(verifyAudit(hashText, [])).toMatchObject({ ok: true, lineCount: 0 });
  });

  it("owns up to a line that a crash tore, wherever it was torn, and goes on", () => {
    fc.assert(
      fc.property(fc.nat(400), fc.nat(3), (cut, earlier) => {
        const file = new MemoryFile();
        write(file, names(earlier + 1));
        const whole = file.files[0]!;
        // Given a daemon that dies while its last line is written
        write(file, ["torn"]);
        file.files[0] = file.files[0]!.slice(0, whole.length + cut);
        // When the next one starts, and a service is deployed
        write(file, ["after"]);
        // Then the chain holds, and says what happened
        expect(verifyAudit(hashText, file.texts())).toMatchObject({ ok: true });
        expect(file.files[0]).toContain('"service":"after"');
      }),
    );
  });

  it("writes what it could not once the disk takes it, in order, and says so", () => {
    fc.assert(
      fc.property(fc.nat(500), (tearAt) => {
        const file = new MemoryFile();
        write(file, ["first"]);
        const { log, problems } = open(file);
        run(log);
        log.append(entryOf("second"));
        log.append(entryOf("third"));
        file.tearAt = tearAt;
        log.tick(nextMs());
        expect(problems).toEqual(["ENOSPC"]);
        file.tearAt = null;
        run(log);
        expect(problems).toEqual(["ENOSPC", null]);
        expect(verifyAudit(hashText, file.texts())).toMatchObject({ ok: true });
        const services = [...file.files[0]!.matchAll(/"deployed".*"service":"(\w+)"/g)];
        expect(new Set(services.map(([, name]) => name))).toEqual(
          new Set(["first", "second", "third"]),
        );
      }),
    );
  });

  it("tells when a line is durable, and holds nobody up whose line has to wait", async () => {
    const file = new MemoryFile();
    const { log } = open(file);
    // Given a line that is not written yet
    let isDurable = false;
    const durable = log.append(entryOf("one")).then(() => {
      isDurable = true;
    });
    await Promise.resolve();
    expect(isDurable).toBe(false);
    // When it is on disk, whoever asked goes on
    run(log);
    await durable;
    expect(file.files[0]).toContain('"service":"one"');
    // And on a disk that takes nothing, at once
    file.tearAt = 0;
    const second = log.append(entryOf("two"));
    log.tick(nextMs());
    await second;
    await log.append(entryOf("three"));
    expect(log.waitingCount).toBe(2);
  });

  it("counts what found no room, in the next line", () => {
    const file = new MemoryFile();
    const { log } = open(file);
    for (const name of names(AUDIT_WAITING_MAX + 3)) log.append(entryOf(name));
    expect(log.waitingCount).toBe(AUDIT_WAITING_MAX);
    run(log);
    expect(file.files[0]).toContain('"lost":3,');
    expect(file.files[0]!.match(/"lost":0/g)).toHaveLength(AUDIT_WAITING_MAX - 1);
  });
});

describe("verifying", () => {
  const file = new MemoryFile();
  write(file, names(30), 6_000);
  const files = file.texts();
  const fileAt = fc.nat(files.length - 1);

  function verdictOf(index: number, text: string) {
    return verifyAudit(
      hashText,
      files.map((known, i) => (i === index ? { ...known, text } : known)),
    );
  }

  it("finds every changed character", () => {
    fc.assert(
      fc.property(fileAt, fc.nat(), fc.string({ minLength: 1, maxLength: 1 }), (i, at, put) => {
        const { text } = files[i]!;
        const place = at % text.length;
        fc.pre(text[place] !== put);
        const changed = text.slice(0, place) + put + text.slice(place + 1);
        expect(verdictOf(i, changed).ok).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it("finds whatever is taken out, but whole lines at the very end", () => {
    fc.assert(
      fc.property(fileAt, fc.nat(), fc.integer({ min: 1, max: 2_000 }), (i, at, count) => {
        const { text } = files[i]!;
        const start = at % text.length;
        const cut = text.slice(0, start) + text.slice(start + count);
        const isAtTheEnd = i === files.length - 1 && start + count >= text.length;
        fc.pre(!(isAtTheEnd && (cut === "" || cut.endsWith("\n"))));
        expect(verdictOf(i, cut).ok).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  it("finds lines that changed places or stand twice", () => {
    const lines = files[0]!.text.trim().split("\n");
    const lineAt = fc.nat(lines.length - 1);
    fc.assert(
      fc.property(lineAt, lineAt, fc.boolean(), (a, b, twice) => {
        fc.pre(a !== b);
        const bent = [...lines];
        if (twice) bent.splice(b, 0, lines[a]!);
        else [bent[a], bent[b]] = [lines[b]!, lines[a]!];
        expect(verdictOf(0, `${bent.join("\n")}\n`).ok).toBe(false);
      }),
    );
  });

  it("finds files that are missing or in another order", () => {
    expect(verifyAudit(hashText, files.toSpliced(1, 1)).ok).toBe(false);
    expect(verifyAudit(hashText, [files[1]!, files[0]!, ...files.slice(2)]).ok).toBe(false);
  });

  it("names the line", () => {
    const { text } = files[0]!;
    expect(verdictOf(0, text.replace('"service":"web-1"', '"service":"web-x"'))).toMatchObject({
      ok: false,
      file: files[0]!.name,
      line: 3,
      problem: "the line was changed or cut",
    });
  });

  it("ends for any bytes", () => {
    const bytes = fc.uint8Array().map((found) => Buffer.from(found).toString("latin1"));
    fc.assert(
      fc.property(fc.oneof(bytes, fc.json(), fc.string()), (text) => {
        expect(parseAuditLine(hashText, text)).toBeNull();
        expect(verifyAudit(hashText, [{ name: "x", text }]).ok).toBe(text === "");
      }),
    );
  });
});

describe("a deployment's hash", () => {
  it("depends on what went live and on nothing else", () => {
    const entry = { service: "a", generation: 1, commit: "", storePath: "" };
    const units = new Map([
      ["b.service", "x"],
      ["a.service", "y"],
    ]);
    const sorted = new Map([...units].reverse());
    const hash = deploymentHash(hashText, entry, units);
    expect(deploymentHash(hashText, entry, sorted)).toBe(hash);
    expect(deploymentHash(hashText, { ...entry, generation: 2 }, units)).not.toBe(hash);
    expect(deploymentHash(hashText, entry, new Map([["a.service", "y"]]))).not.toBe(hash);
  });
});
