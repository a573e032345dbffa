// Answers DNS queries about the cluster's own domain: `SERVICE.myco` for the instances that
// are healthy, `NODE.node.myco` for a member. Pure: bytes in, bytes out; io/dns-socket.ts
// carries them.

import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  type DecodedPacket,
  decode,
  encode,
  encodingLength,
  type OptAnswer,
  type Question,
  RECURSION_DESIRED,
  type SrvAnswer,
  type StringAnswer,
  TRUNCATED_RESPONSE,
} from "dns-packet";
import {
  DNS_INSTANCES_MAX,
  DNS_QUERY_BYTES_MAX,
  DNS_UDP_ANSWER_BYTES_MAX,
} from "../kernel/limits.ts";
import type { NodeId } from "../schema/node-id.ts";
import type { ServicePort } from "../schema/service.ts";

/** A node that is reached under these addresses. */
export interface DnsNode {
  readonly nodeId: NodeId;
  /** IPv4 and IPv6 in their canonical text forms, without port or zone. */
  readonly addresses: readonly string[];
}

export interface DnsService {
  readonly ports: readonly ServicePort[];
  /** The nodes whose instance is healthy, in an order that stays while they do. */
  readonly healthy: readonly DnsNode[];
}

/** What the names stand for now. Names come in lower case. */
export interface ServiceDirectory {
  /** Null when no such service is deployed. */
  service(name: string): DnsService | null;
  /** By node id or hostname; null when there is no such member. */
  node(name: string): DnsNode | null;
}

export interface DnsOptions {
  /** The domain answered for, in lower case, without a dot at its end: "myco". */
  readonly domain: string;
  /** How long an answer may be kept, and a denial too. */
  readonly ttlSeconds: number;
  /** Over TCP an answer may be as long as it is. */
  readonly transport: "udp" | "tcp";
}

const HEADER_BYTES = 12;
const UDP_ANSWER_BYTES_MIN = 512;
const LABEL_BYTES_MAX = 63;
const CLASS_IN = 1;
const CLASS_ANY = 255;
const EDNS_VERSION = 0;

/** RFC 1035 §4.1.1; the last is RFC 6891's, whose upper bits travel in the OPT record. */
const RCODE = { noError: 0, formErr: 1, nxDomain: 3, notImp: 4, refused: 5, badVers: 16 } as const;
type Rcode = (typeof RCODE)[keyof typeof RCODE];

interface Query {
  readonly bytes: Buffer;
  readonly id: number;
  readonly recursionDesired: boolean;
  readonly question: Question;
  /** Where the question's bytes end. */
  readonly questionEnd: number;
  readonly class: number;
  /** RFC 6891's record, when the asker sent one. */
  readonly opt: OptAnswer | null;
}

interface Reply {
  readonly rcode: Rcode;
  readonly answers: readonly Answer[];
  readonly additionals: readonly Answer[];
  /** Whether it denies, so that the zone's SOA says for how long (RFC 2308). */
  readonly denies: boolean;
}

/**
 * @param query a datagram, or a message of a TCP stream, from anybody
 * @returns the answer to send back, or null when there must be none: to what is no query at
 * all, and to an answer, so that two servers never talk for ever
 */
export function answerQuery(
  query: Uint8Array,
  directory: ServiceDirectory,
  options: DnsOptions,
): Uint8Array | null {
  if (query.length < HEADER_BYTES || query.length > DNS_QUERY_BYTES_MAX) return null;
  const bytes = Buffer.from(query.buffer, query.byteOffset, query.byteLength);
  const isResponse = (bytes[2]! & 0x80) !== 0;
  if (isResponse) return null;
  const opcode = (bytes[2]! >> 3) & 0xf;
  if (opcode !== 0) return headerOnly(bytes, RCODE.notImp);
  const parsed = parseQuery(bytes);
  if (parsed === null) return headerOnly(bytes, RCODE.formErr);
  return encodeReply(parsed, replyTo(parsed, directory, options), options);
}

/** Id, opcode and the wish for recursion come back; all else is the verdict. */
function headerOnly(bytes: Buffer, rcode: Rcode): Uint8Array {
  const header = Buffer.alloc(HEADER_BYTES);
  bytes.copy(header, 0, 0, 2);
  header[2] = 0x80 | (bytes[2]! & 0x79);
  header[3] = rcode;
  return header;
}

/** Null when malformed. What is checked before the decoder sees it bounds what it allocates. */
function parseQuery(bytes: Buffer): Query | null {
  const [questionCount, answerCount, authorityCount, additionalCount] = [4, 6, 8, 10].map(
    (offset) => bytes.readUInt16BE(offset),
  );
  if (questionCount !== 1 || answerCount !== 0 || authorityCount !== 0) return null;
  // An OPT record, and perhaps a signature of the transaction, which is not looked at.
  if (additionalCount! > 2) return null;
  const nameEnd = endOfPlainName(bytes);
  if (nameEnd === null || nameEnd + 4 > bytes.length) return null;
  const packet = decodeGuarded(bytes);
  const question = packet?.questions?.[0];
  if (packet === null || question === undefined) return null;
  const opts = (packet.additionals ?? []).filter((record) => record.type === "OPT");
  // RFC 6891 §6.1.1: more than one is an error.
  if (opts.length > 1) return null;
  const questionEnd = nameEnd + 4;
  // A label that is no text would not be encoded as it was asked.
  if (encodingLength({ questions: [question] }) !== questionEnd) return null;
  return {
    bytes,
    id: bytes.readUInt16BE(0),
    recursionDesired: packet.flag_rd,
    question,
    questionEnd,
    class: bytes.readUInt16BE(nameEnd + 2),
    opt: (opts[0] as OptAnswer | undefined) ?? null,
  };
}

/** Where the question's name ends; null when it is cut off or compressed, which it has no reason to be. */
function endOfPlainName(bytes: Buffer): number | null {
  let offset = HEADER_BYTES;
  for (;;) {
    const length = bytes[offset];
    if (length === undefined || length > LABEL_BYTES_MAX) return null;
    offset += 1 + length;
    if (length === 0) return offset;
  }
}

function decodeGuarded(bytes: Buffer): DecodedPacket | null {
  try {
    return decode(bytes);
  } catch {
    return null;
  }
}

function replyTo(query: Query, directory: ServiceDirectory, options: DnsOptions): Reply {
  if (query.opt !== null && query.opt.ednsVersion !== EDNS_VERSION) return plain(RCODE.badVers);
  if (query.class !== CLASS_IN && query.class !== CLASS_ANY) return plain(RCODE.refused);
  const labels = labelsBelow(query.question.name, options.domain);
  if (labels === null) return plain(RCODE.refused);
  if (asksFor(query, "AXFR", "IXFR")) return plain(RCODE.refused);
  if (labels.length === 0) return apexReply(query, options);
  const reply = lookUp(labels, query, directory, options);
  return reply ?? { ...plain(RCODE.nxDomain), denies: true };
}

function plain(rcode: Rcode): Reply {
  return { rcode, answers: [], additionals: [], denies: false };
}

/** The name is there; `answers` may be none of the type asked for. */
function found(answers: readonly Answer[], additionals: readonly Answer[] = []): Reply {
  return { rcode: RCODE.noError, answers, additionals, denies: answers.length === 0 };
}

/** The labels before the domain, in lower case; null for a name outside of it. */
function labelsBelow(name: string, domain: string): string[] | null {
  const lower = name.toLowerCase();
  if (lower === domain) return [];
  if (!lower.endsWith(`.${domain}`)) return null;
  return lower.slice(0, -domain.length - 1).split(".");
}

function apexReply(query: Query, options: DnsOptions): Reply {
  return found(asksFor(query, "SOA", "ANY") ? [startOfAuthority(options)] : []);
}

/** Null when no such name exists. */
function lookUp(
  labels: readonly string[],
  query: Query,
  directory: ServiceDirectory,
  options: DnsOptions,
): Reply | null {
  const [first = "", second = "", third = ""] = labels;
  if (labels.length === 1) {
    const service = directory.service(first);
    if (service !== null) return serviceReply(service, query, options);
    return first === "node" ? found([]) : null;
  }
  if (labels.length === 2 && second === "node") {
    const node = directory.node(first);
    return node === null ? null : found(addressRecords([node], query, options));
  }
  if (labels.length > 3) return null;
  const service = directory.service(labels.length === 2 ? second : third);
  if (service === null) return null;
  if (labels.length === 3) return portReply(service, first, second, query, options);
  // `_tcp.SERVICE` has nothing of its own, but names below it (RFC 8020).
  return namedPorts(service, first).length > 0 ? found([]) : null;
}

/** `_PORTNAME._PROTOCOL.SERVICE` (RFC 2782). */
function portReply(
  service: DnsService,
  portLabel: string,
  protocolLabel: string,
  query: Query,
  options: DnsOptions,
): Reply | null {
  const ports = namedPorts(service, protocolLabel).filter(
    ({ name }) => `_${name.toLowerCase()}` === portLabel,
  );
  if (ports.length === 0) return null;
  return asksFor(query, "SRV", "ANY") ? serviceRecords(service, ports, query, options) : found([]);
}

function namedPorts(service: DnsService, protocolLabel: string): ServicePort[] {
  return service.ports.filter(
    ({ name, protocol }) => name !== "" && `_${protocol}` === protocolLabel,
  );
}

function serviceReply(service: DnsService, query: Query, options: DnsOptions): Reply {
  if (asksFor(query, "SRV")) return serviceRecords(service, service.ports, query, options);
  return found(addressRecords(rotated(service.healthy, query.id), query, options));
}

function serviceRecords(
  service: DnsService,
  ports: readonly ServicePort[],
  query: Query,
  options: DnsOptions,
): Reply {
  const nodes = rotated(service.healthy, query.id);
  const { domain, ttlSeconds } = options;
  const answers = nodes.flatMap((node) =>
    ports.map(
      ({ port }): SrvAnswer => ({
        type: "SRV",
        name: query.question.name,
        ttl: ttlSeconds,
        data: { priority: 0, weight: 1, port, target: targetOf(node, domain) },
      }),
    ),
  );
  const additionals = nodes.flatMap((node) =>
    node.addresses.map((address) => addressRecord(targetOf(node, domain), address, options)),
  );
  return found(answers, additionals);
}

function targetOf(node: DnsNode, domain: string): string {
  return `${node.nodeId}.node.${domain}`;
}

/** Starts at another instance for another query id, so that askers spread over them. */
function rotated(nodes: readonly DnsNode[], queryId: number): DnsNode[] {
  const start = nodes.length === 0 ? 0 : queryId % nodes.length;
  return [...nodes.slice(start), ...nodes.slice(0, start)].slice(0, DNS_INSTANCES_MAX);
}

/** The addresses of the type asked for; for ANY the first type there is (RFC 8482 §4.1). */
function addressRecords(nodes: readonly DnsNode[], query: Query, options: DnsOptions): Answer[] {
  const { name, type } = query.question;
  const records = nodes.flatMap((node) =>
    node.addresses.map((address) => addressRecord(name, address, options)),
  );
  const wanted = asksFor(query, "ANY") ? records[0]?.type : type;
  return records.filter((record) => record.type === wanted);
}

function addressRecord(name: string, address: string, options: DnsOptions): StringAnswer {
  const type = address.includes(":") ? "AAAA" : "A";
  return { type, name, ttl: options.ttlSeconds, data: address };
}

function asksFor(query: Query, ...types: readonly string[]): boolean {
  return types.includes(query.question.type);
}

function startOfAuthority({ domain, ttlSeconds }: DnsOptions): Answer {
  const refresh = { serial: 1, refresh: 3_600, retry: 600, expire: 86_400, minimum: ttlSeconds };
  const data = { mname: `ns.${domain}`, rname: `hostmaster.${domain}`, ...refresh };
  return { type: "SOA", name: domain, ttl: ttlSeconds, data };
}

/** Whole when it fits; else without the additional records; else cut and marked so (RFC 2181 §9). */
function encodeReply(query: Query, reply: Reply, options: DnsOptions): Uint8Array {
  const limit = sizeLimit(query, options);
  const whole = encodeSections(query, reply, options, 0);
  if (whole.length <= limit) return whole;
  const short = { ...reply, additionals: [] };
  const lean = encodeSections(query, short, options, 0);
  if (lean.length <= limit) return lean;
  const empty = encodeSections(query, { ...short, answers: [] }, options, TRUNCATED_RESPONSE);
  const answers = leading(reply.answers, limit - empty.length);
  return encodeSections(query, { ...short, answers }, options, TRUNCATED_RESPONSE);
}

/** The records from the first on that take `sizeBytes` at most. */
function leading(records: readonly Answer[], sizeBytes: number): Answer[] {
  let restBytes = sizeBytes;
  const count = records.findIndex((record) => {
    restBytes -= encodingLength({ answers: [record] }) - HEADER_BYTES;
    return restBytes < 0;
  });
  return records.slice(0, count === -1 ? records.length : count);
}

function sizeLimit(query: Query, options: DnsOptions): number {
  if (options.transport === "tcp") return 0xffff;
  const wanted = query.opt?.udpPayloadSize ?? UDP_ANSWER_BYTES_MIN;
  return Math.min(DNS_UDP_ANSWER_BYTES_MAX, Math.max(UDP_ANSWER_BYTES_MIN, wanted));
}

function encodeSections(
  query: Query,
  reply: Reply,
  options: DnsOptions,
  truncatedFlag: number,
): Uint8Array {
  const { id, question, opt, recursionDesired } = query;
  const flags =
    (reply.rcode === RCODE.noError || reply.rcode === RCODE.nxDomain ? AUTHORITATIVE_ANSWER : 0) |
    (recursionDesired ? RECURSION_DESIRED : 0) |
    truncatedFlag |
    (reply.rcode & 0xf);
  const authorities = reply.denies && truncatedFlag === 0 ? [startOfAuthority(options)] : [];
  const additionals = [...reply.additionals, ...(opt === null ? [] : [optRecord(reply.rcode)])];
  const answers = [...reply.answers];
  const questions = [question];
  const bytes = encode({
    type: "response",
    id,
    flags,
    questions,
    answers,
    authorities,
    additionals,
  });
  // The very bytes that were asked, case and all: resolvers check them (0x20 encoding).
  query.bytes.copy(bytes, HEADER_BYTES, HEADER_BYTES, query.questionEnd);
  return bytes;
}

function optRecord(rcode: Rcode): OptAnswer {
  return {
    type: "OPT",
    name: ".",
    udpPayloadSize: DNS_UDP_ANSWER_BYTES_MAX,
    extendedRcode: rcode >> 4,
    ednsVersion: EDNS_VERSION,
    flags: 0,
    flag_do: false,
    options: [],
  };
}
