// The status of a daemon that is to be in a cluster.

import type { RouterStatusAnswer, StatusAnswer } from "../api/contract.ts";
import { CommandError } from "./command-error.ts";
import type { DaemonClient } from "./daemon-client.ts";
import { EXIT } from "./exit-codes.ts";

/** @throws CommandError when the daemon's mesh is off */
export async function askMeshStatus(client: DaemonClient): Promise<StatusAnswer> {
  const status = await client.get<StatusAnswer | RouterStatusAnswer>("/status");
  if (status.cluster !== null) return status;
  throw new CommandError(
    EXIT.refused,
    "the mesh is off on this node: it is in no cluster",
    'set "mesh: { enabled: true }" in its configuration and restart the daemon',
  );
}
