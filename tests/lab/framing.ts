// The bytes between the driver and a guest's shell, both ways; guest/usr/local/lib/lab/shell is
// the other end. Everything has its length in front, so that any bytes may travel.

/** What one command in a guest came to. */
export interface Reply {
  readonly id: number;
  readonly status: number;
  readonly output: Buffer;
  readonly errors: Buffer;
}

export type ShellEvent =
  | { readonly kind: "ready" }
  | { readonly kind: "reply"; readonly reply: Reply };

export interface Request {
  readonly id: number;
  /** 0 is no limit. */
  readonly timeoutSeconds: number;
  /** Run by `bash -euo pipefail`. */
  readonly command: string;
  /** The command's standard input. */
  readonly input: Uint8Array;
}

/** The guest cuts longer outputs off; a header that names more is noise. */
export const STREAM_BYTES_MAX = 64 * 1024 * 1024;
const HEADER_BYTES_MAX = 128;
const NEWLINE = 0x0a;

export function encodeRequest({ id, timeoutSeconds, command, input }: Request): Buffer {
  const body = Buffer.from(command, "utf8");
  const header = `${id} ${timeoutSeconds} ${body.length} ${input.length}\n`;
  return Buffer.concat([Buffer.from(header, "ascii"), body, input]);
}

interface Header {
  readonly id: number;
  readonly status: number;
  readonly outputBytes: number;
  readonly errorsBytes: number;
}

/** Reads what a guest's shell writes, however it is cut into chunks. Lines that are no header are passed over. */
export class ReplyReader {
  #chunks: Buffer[] = [];
  #bufferedBytes = 0;
  #header: Header | null = null;

  /** @returns what `chunk` completed, in order */
  push(chunk: Uint8Array): ShellEvent[] {
    this.#chunks.push(Buffer.from(chunk));
    this.#bufferedBytes += chunk.length;
    const events: ShellEvent[] = [];
    for (let event = this.#next(); event !== null; event = this.#next()) {
      if (event !== "noise") events.push(event);
    }
    return events;
  }

  #next(): ShellEvent | "noise" | null {
    return this.#header === null ? this.#readLine() : this.#readBody(this.#header);
  }

  #readLine(): ShellEvent | "noise" | null {
    const buffered = this.#joined();
    const end = buffered.indexOf(NEWLINE);
    if (end === -1) {
      if (buffered.length > HEADER_BYTES_MAX) this.#drop(buffered.length - HEADER_BYTES_MAX);
      return null;
    }
    const line = buffered.toString("latin1", 0, end);
    this.#drop(end + 1);
    if (line.endsWith("lab ready")) return { kind: "ready" };
    this.#header = parseHeader(line);
    return "noise";
  }

  #readBody(header: Header): ShellEvent | null {
    const { id, status, outputBytes, errorsBytes } = header;
    if (this.#bufferedBytes < outputBytes + errorsBytes) return null;
    const body = Buffer.from(this.#joined().subarray(0, outputBytes + errorsBytes));
    this.#drop(body.length);
    this.#header = null;
    const output = body.subarray(0, outputBytes);
    return { kind: "reply", reply: { id, status, output, errors: body.subarray(outputBytes) } };
  }

  #joined(): Buffer {
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0]!;
  }

  #drop(count: number): void {
    const rest = this.#joined().subarray(count);
    this.#chunks = [rest];
    this.#bufferedBytes = rest.length;
  }
}

function parseHeader(line: string): Header | null {
  const match = /^lab (\d{1,9}) (\d{1,3}) (\d{1,9}) (\d{1,9})$/.exec(line);
  if (match === null) return null;
  const [id, status, outputBytes, errorsBytes] = match.slice(1).map(Number);
  if (outputBytes! > STREAM_BYTES_MAX || errorsBytes! > STREAM_BYTES_MAX) return null;
  return { id: id!, status: status!, outputBytes: outputBytes!, errorsBytes: errorsBytes! };
}
