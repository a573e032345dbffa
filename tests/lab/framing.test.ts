import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { encodeRequest, ReplyReader, type ShellEvent, STREAM_BYTES_MAX } from "./framing.ts";

interface Sent {
  readonly id: number;
  readonly status: number;
  readonly output: Uint8Array;
  readonly errors: Uint8Array;
}

/** What guest/usr/local/lib/lab/shell writes. */
function encodeReply({ id, status, output, errors }: Sent): Buffer {
  const header = `lab ${id} ${status} ${output.length} ${errors.length}\n`;
  return Buffer.concat([Buffer.from(header), output, errors]);
}

const anySent = fc.record({
  id: fc.integer({ min: 1, max: 999_999 }),
  status: fc.integer({ min: 0, max: 255 }),
  output: fc.uint8Array({ maxLength: 300 }),
  errors: fc.uint8Array({ maxLength: 300 }),
});

/** Cuts `bytes` at the given places. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length];
  at.sort((a, b) => a - b);
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

function readAll(chunks: readonly Uint8Array[]): ShellEvent[] {
  const reader = new ReplyReader();
  return chunks.flatMap((chunk) => reader.push(chunk));
}

describe("what a guest's shell writes", () => {
  test("is read whole however it is cut", () => {
    fc.assert(
      fc.property(fc.array(anySent), fc.array(fc.nat()), (replies, cuts) => {
        const bytes = Buffer.concat([Buffer.from("lab ready\n"), ...replies.map(encodeReply)]);
        const [first, ...rest] = readAll(pieces(bytes, cuts));
        expect(first).toEqual({ kind: "ready" });
        expect(rest.map((event) => event.kind === "reply" && event.reply)).toEqual(
          replies.map((reply) => ({
            ...reply,
            output: Buffer.from(reply.output),
            errors: Buffer.from(reply.errors),
          })),
        );
      }),
    );
  });

  test("may be any bytes: nothing throws, and a reply after a line's end is found", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), anySent, (noise, reply) => {
        const lines = noise.filter(
          (line) => !Buffer.from(line).toString("latin1").includes("lab "),
        );
        const events = readAll([...lines, Buffer.from("\n"), encodeReply(reply)]);
        expect(events.at(-1)).toMatchObject({ kind: "reply", reply: { id: reply.id } });
      }),
    );
  });

  test("is noise when it names more than a guest may send", () => {
    const boast = `lab 1 0 ${STREAM_BYTES_MAX + 1} 0\n`;
    const honest = encodeReply({ id: 2, status: 3, output: Buffer.of(1), errors: Buffer.of() });
    expect(readAll([Buffer.from(boast), honest])).toMatchObject([
      { kind: "reply", reply: { id: 2, status: 3 } },
    ]);
  });
});

test("a request has its lengths in bytes in front", () => {
  const request = encodeRequest({
    id: 7,
    timeoutSeconds: 30,
    command: "echo ä",
    input: Buffer.from([0, 255]),
  });
  expect(request.toString("latin1")).toBe(
    `7 30 7 2\n${Buffer.from("echo ä").toString("latin1")}\0ÿ`,
  );
});
