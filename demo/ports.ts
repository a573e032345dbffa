// Ports of the loopback addresses that nobody uses.

import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer } from "node:net";

/** A UDP port that was free a moment ago. Throws when the machine has no such address. */
export async function freeUdpPort(address: string): Promise<number> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.bind(0, address);
  await once(socket, "listening");
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  return port;
}

/** A TCP port that was free a moment ago on every one of the addresses. */
export async function freeTcpPort(addresses: readonly string[]): Promise<number> {
  const [first = "127.0.0.1", ...others] = addresses;
  for (;;) {
    const port = (await tryTcpPort(first, 0)) ?? 0;
    const tries = await Promise.all(others.map((address) => tryTcpPort(address, port)));
    if (tries.every((taken) => taken === port)) return port;
  }
}

async function tryTcpPort(address: string, wanted: number): Promise<number | null> {
  const server = createServer();
  try {
    server.listen(wanted, address);
    await once(server, "listening");
  } catch {
    return null;
  }
  const bound = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof bound === "object" ? (bound?.port ?? null) : null;
}
