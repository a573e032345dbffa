// The DNS server's sockets: UDP, and TCP for answers that were cut short (RFC 7766). What
// to answer is decided elsewhere; this carries bytes.

import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, isIPv6, type Server, type Socket } from "node:net";
import { DNS_QUERY_BYTES_MAX, DNS_TCP_CONNECTIONS_MAX } from "../kernel/limits.ts";

/** @returns the answer, or null for none */
export type AnswerDns = (query: Uint8Array, transport: "udp" | "tcp") => Uint8Array | null;

/** The address cannot be listened on. The message says what to do about it. */
export class DnsListenError extends Error {
  override readonly name = "DnsListenError";
  readonly code = "ERR_DNS_LISTEN";
}

export interface DnsSocketOptions {
  /** An IP address of this machine. */
  readonly address: string;
  /** 0 takes any free one. */
  readonly port: number;
  readonly answer: AnswerDns;
}

export interface DnsSocket {
  readonly port: number;
  /** Stops listening; `done` when the sockets are closed. */
  close(done: () => void): void;
}

/** How long a TCP connection may stay silent. */
const TCP_IDLE_MS = 5_000;
const LENGTH_BYTES = 2;

/**
 * Listens on UDP and TCP.
 * @param onReady once, with the socket or a DnsListenError
 */
export function openDnsSocket(
  options: DnsSocketOptions,
  onReady: (error: DnsListenError | null, socket: DnsSocket | null) => void,
): void {
  const { address, answer } = options;
  const udp = createSocket(isIPv6(address) ? "udp6" : "udp4");
  udp.on("message", (query, from) => {
    const reply = answer(query, "udp");
    if (reply !== null) udp.send(reply, from.port, from.address, () => {});
  });
  udp.once("error", (error) => {
    udp.close();
    onReady(listenError(options, error), null);
  });
  udp.bind(options.port, address, () => {
    const { port } = udp.address();
    udp.removeAllListeners("error");
    // Such as an ICMP error of an asker that has gone: nothing to be done.
    udp.on("error", () => {});
    listenTcp({ ...options, port }, (error, tcp) => {
      if (tcp === null) udp.close();
      onReady(error, tcp === null ? null : joined(port, udp, tcp));
    });
  });
}

interface TcpListener {
  readonly server: Server;
  readonly connections: Set<Socket>;
}

function listenTcp(
  options: DnsSocketOptions,
  onReady: (error: DnsListenError | null, tcp: TcpListener | null) => void,
): void {
  const connections = new Set<Socket>();
  const server = createServer((connection) => {
    connections.add(connection);
    connection.once("close", () => connections.delete(connection));
    serveConnection(connection, options.answer);
  });
  server.maxConnections = DNS_TCP_CONNECTIONS_MAX;
  server.once("error", (error) => onReady(listenError(options, error), null));
  server.listen({ port: options.port, host: options.address }, () => {
    server.removeAllListeners("error");
    server.on("error", () => {});
    onReady(null, { server, connections });
  });
}

/** Each message comes after its length in two bytes (RFC 1035 §4.2.2). */
function serveConnection(connection: Socket, answer: AnswerDns): void {
  let received = Buffer.alloc(0);
  connection.setTimeout(TCP_IDLE_MS, () => connection.destroy());
  connection.on("error", () => connection.destroy());
  connection.on("data", (chunk) => {
    received = Buffer.concat([received, chunk]);
    while (received.length >= LENGTH_BYTES) {
      const end = LENGTH_BYTES + received.readUInt16BE(0);
      if (end > LENGTH_BYTES + DNS_QUERY_BYTES_MAX) {
        connection.destroy();
        return;
      }
      if (received.length < end) return;
      const reply = answer(received.subarray(LENGTH_BYTES, end), "tcp");
      received = received.subarray(end);
      // One that asks and does not read would fill memory with answers.
      if (reply === null || !sendFramed(connection, reply)) {
        connection.destroy();
        return;
      }
    }
  });
}

/** @returns false when the other side does not keep up */
function sendFramed(connection: Socket, reply: Uint8Array): boolean {
  const framed = Buffer.alloc(LENGTH_BYTES + reply.length);
  framed.writeUInt16BE(reply.length, 0);
  framed.set(reply, LENGTH_BYTES);
  return connection.write(framed) || connection.writableLength <= DNS_QUERY_BYTES_MAX * 16;
}

function joined(port: number, udp: UdpSocket, tcp: TcpListener): DnsSocket {
  return {
    port,
    close(done) {
      for (const connection of tcp.connections) connection.destroy();
      udp.close(() => tcp.server.close(() => done()));
    },
  };
}

function listenError(options: DnsSocketOptions, error: NodeJS.ErrnoException): DnsListenError {
  const { address, port } = options;
  const where = `${isIPv6(address) ? `[${address}]` : address}:${port}`;
  return new DnsListenError(`DNS cannot listen on ${where}: ${adviceFor(error, port)}`, {
    cause: error,
  });
}

function adviceFor(error: NodeJS.ErrnoException, port: number): string {
  switch (error.code) {
    case "EACCES":
      return `port ${port} needs the capability CAP_NET_BIND_SERVICE. Run as root, or set dns.listen to a port from 1024 on, such as 127.0.0.1:5353.`;
    case "EADDRINUSE":
      return "another program has it (often systemd-resolved or dnsmasq). Stop that one, or set dns.listen to another address or port.";
    case "EADDRNOTAVAIL":
      return "this machine has no such address. Set dns.listen to one that it has.";
    default:
      return `${error.message}. Set dns.listen to another address, or to false for no DNS.`;
  }
}
