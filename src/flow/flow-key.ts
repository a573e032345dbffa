// Five-tuples: the same connection may be told of from either side.

import type { FlowKey } from "./interface.ts";

/** The same text for both sides' keys of one connection. */
export function connectionText(key: FlowKey): string {
  const client = `${key.client} ${key.clientPort}`;
  const server = `${key.server} ${key.serverPort}`;
  const [first, second] = client < server ? [client, server] : [server, client];
  return `${key.protocol} ${first} ${second}`;
}

/** The key as the other side would have it. */
export function otherSide({ protocol, client, clientPort, server, serverPort }: FlowKey): FlowKey {
  return {
    protocol,
    client: server,
    clientPort: serverPort,
    server: client,
    serverPort: clientPort,
  };
}
