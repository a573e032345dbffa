// A stream to a unix socket, as a client. What is said on it is decided elsewhere.

import { connect } from "node:net";

export interface UnixStream {
  send(bytes: Uint8Array): void;
  /** What was sent and is still in this process. */
  readonly backlogBytes: number;
  /** Nothing is told afterwards. */
  close(): void;
}

export interface UnixStreamEvents {
  /** The bytes are the callee's until it returns. */
  onBytes(bytes: Uint8Array): void;
  /** Once, never from within `openUnixStream`. @param reason for people */
  onClosed(reason: string): void;
}

/** Begins to connect. What is sent meanwhile waits. */
export function openUnixStream(path: string, events: UnixStreamEvents): UnixStream {
  const socket = connect(path);
  let reason = `${path}: the other side has closed the connection`;
  let isClosed = false;
  // Node's own close comes after an error; a half-closed stream is of no use.
  socket.on("error", (error: NodeJS.ErrnoException) => {
    reason = describe(path, error);
  });
  socket.on("end", () => socket.destroy());
  socket.on("data", (chunk) => {
    if (!isClosed) events.onBytes(chunk);
  });
  socket.on("close", () => {
    if (!isClosed) events.onClosed(reason);
  });
  return {
    send(bytes) {
      if (!socket.destroyed) socket.write(bytes);
    },
    get backlogBytes() {
      return socket.writableLength;
    },
    close() {
      isClosed = true;
      socket.destroy();
    },
  };
}

function describe(path: string, error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case "ENOENT":
      return `there is no ${path}`;
    case "ECONNREFUSED":
      return `nobody answers at ${path}`;
    case "EACCES":
      return `this user may not connect to ${path}`;
    default:
      return `${path}: ${error.message}`;
  }
}
