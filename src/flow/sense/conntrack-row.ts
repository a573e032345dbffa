// One row of the kernel's connection table, as /proc/net/nf_conntrack and `conntrack -L -o extended`
// print it.

import { CONNTRACK_ROW_CHARACTERS_MAX } from "../../kernel/limits.ts";

/** A connection by its original direction: `client` is the side that asked. Addresses as printed. */
export interface ConntrackRow {
  readonly protocol: number;
  readonly client: string;
  readonly clientPort: number;
  readonly server: string;
  readonly serverPort: number;
  /** Who answers: the server, or the host behind it that the connection was led to. */
  readonly answerer: string;
  /** Where answers go: the client, or the address it is hidden behind. */
  readonly answeredTo: string;
  /** Null counts: the kernel does not count (net.netfilter.nf_conntrack_acct is 0). */
  readonly counts: ConntrackCounts | null;
  readonly mark: number;
  /** An answer was seen. */
  readonly isAnswered: boolean;
}

/** Upload: from client to server. */
export interface ConntrackCounts {
  readonly uploadPackets: number;
  readonly uploadBytes: number;
  readonly downloadPackets: number;
  readonly downloadBytes: number;
}

const HEAD = /^ipv[46] +[0-9]{1,3} [a-z0-9_-]{1,24} +([0-9]{1,3}) /;

/** Null for a row of another form. */
export function parseConntrackRow(line: string): ConntrackRow | null {
  if (line.length > CONNTRACK_ROW_CHARACTERS_MAX) return null;
  const head = HEAD.exec(line);
  const original = line.indexOf(" src=");
  const reply = line.indexOf(" src=", original + 1);
  if (head === null || original < 0 || reply < 0) return null;
  const protocol = Number(head[1]);
  const client = textField(line, "src=", original);
  const server = textField(line, "dst=", original);
  const answerer = textField(line, "src=", reply);
  const answeredTo = textField(line, "dst=", reply);
  if (client === "" || server === "" || answerer === "" || answeredTo === "") return null;
  return {
    protocol,
    client,
    clientPort: portField(line, "sport=", original, reply),
    server,
    serverPort: portField(line, "dport=", original, reply),
    answerer,
    answeredTo,
    counts: readCounts(line, original, reply),
    mark: countField(line, "mark=", reply, line.length) ?? 0,
    isAnswered: !line.includes(" [UNREPLIED] "),
  };
}

function readCounts(line: string, original: number, reply: number): ConntrackCounts | null {
  const uploadPackets = countField(line, "packets=", original, reply);
  const uploadBytes = countField(line, "bytes=", original, reply);
  const downloadPackets = countField(line, "packets=", reply, line.length);
  const downloadBytes = countField(line, "bytes=", reply, line.length);
  if (uploadPackets === null || uploadBytes === null) return null;
  if (downloadPackets === null || downloadBytes === null) return null;
  return { uploadPackets, uploadBytes, downloadPackets, downloadBytes };
}

/** The word after ` NAME=`, looked for from `from` on; empty when there is none. */
function textField(line: string, name: string, from: number): string {
  const at = line.indexOf(name, from);
  if (at < 0 || line.charCodeAt(at - 1) !== 0x20) return "";
  const start = at + name.length;
  const end = line.indexOf(" ", start);
  return end < 0 ? line.slice(start) : line.slice(start, end);
}

/** 0 for protocols without ports. */
function portField(line: string, name: string, from: number, before: number): number {
  const port = countField(line, name, from, before);
  return port !== null && port <= 0xffff ? port : 0;
}

/** The number after ` NAME=`, between `from` and `before`; null when there is none that can be believed. */
function countField(line: string, name: string, from: number, before: number): number | null {
  const at = line.indexOf(name, from);
  if (at < 0 || at >= before || line.charCodeAt(at - 1) !== 0x20) return null;
  let value = 0;
  let i = at + name.length;
  const start = i;
  for (; i < line.length; i += 1) {
    const digit = line.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  return i > start && Number.isSafeInteger(value) ? value : null;
}
