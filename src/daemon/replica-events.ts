// What happens inside the replica, in words for the log and the recorder.

import type { ReplicaEvent } from "../node/interface.ts";
import type { EventLog } from "./event-log.ts";
import type { LogLevel } from "./logger.ts";

/** How much each kind matters, and the sentence for it. */
const EVENTS: Readonly<Record<ReplicaEvent["kind"], readonly [LogLevel, string]>> = {
  "session-opened": ["debug", "a session was opened"],
  "session-closed": ["debug", "a session was closed"],
  "handshake-refused": ["warn", "a handshake was refused"],
  "slot-refused": ["warn", "a peer sent a record that is not to be believed"],
  "slot-applied": ["debug", "a record changed the table"],
  "table-full": ["error", "the table is full: a record found no room"],
  "tombstones-reaped": ["debug", "old deletions were forgotten by all"],
  "first-sync": ["info", "the table is complete: services are placed from now on"],
  revoked: [
    "error",
    "this node's certificate was revoked or has expired: it takes no part any more",
  ],
};

export function noteReplicaEvent(events: EventLog, event: ReplicaEvent): void {
  const { kind, ...fields } = event;
  const [level, message] = EVENTS[kind];
  events.note(level, kind, message, fields);
}
