// The door to ubusd's socket; src/io has the real one.

export interface UbusConnection {
  /** In order. What cannot be sent any more is dropped: `onClosed` tells. */
  send(bytes: Uint8Array): void;
  /** What was sent and not read yet. */
  readonly backlogBytes: number;
  /** Nothing is told afterwards. */
  close(): void;
}

export interface UbusConnectionEvents {
  /** The bytes are the callee's until it returns. */
  onBytes(bytes: Uint8Array): void;
  /** Once. @param reason for people, such as "there is no /var/run/ubus/ubus.sock" */
  onClosed(reason: string): void;
}

/** Begins to connect; whether that works, the events tell later, never from within. */
export type ConnectUbus = (events: UbusConnectionEvents) => UbusConnection;
