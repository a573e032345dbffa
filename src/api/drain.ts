// The routes that empty a node: it takes no more work, and what it runs moves to others.

import type { NodeId } from "../schema/node-id.ts";
import { ApiError } from "./api-error.ts";
import type { MeshBackend } from "./backend.ts";
import type { DrainAnswer, MemberAnswer } from "./contract.ts";
import { badQuery, requireParameters } from "./query.ts";
import { refusalError } from "./writes.ts";

/** `GET /members/ID/drain`. */
export function getDrain(nodeId: NodeId, backend: MeshBackend): DrainAnswer {
  const answer = backend.drain(nodeId);
  if (answer !== null) return answer;
  throw new ApiError(404, "unknown-member", `no member has the id ${JSON.stringify(nodeId)}`, {
    hint: 'see who is one with "myco cluster members"',
  });
}

/** `PUT /members/ID/drain?force=true`. What is drained already stays so, and nothing is written. */
export async function drainNode(
  nodeId: NodeId,
  query: URLSearchParams,
  backend: MeshBackend,
): Promise<DrainAnswer> {
  const isForced = readForce(query);
  if (getDrain(nodeId, backend).drainedBy === null) {
    if (!isForced) requireAnotherWorker(nodeId, backend.members().members);
    await write(nodeId, true, backend);
  }
  return getDrain(nodeId, backend);
}

/** `DELETE /members/ID/drain`. */
export async function undrainNode(nodeId: NodeId, backend: MeshBackend): Promise<DrainAnswer> {
  const before = getDrain(nodeId, backend);
  if (before.drainedBy === null) return before;
  await write(nodeId, false, backend);
  // One that is no member any more is known by its drain only, which is gone now.
  return backend.drain(nodeId) ?? { ...before, draining: false, drainedBy: null };
}

async function write(nodeId: NodeId, drained: boolean, backend: MeshBackend): Promise<void> {
  const outcome = await backend.setDrained(nodeId, drained);
  if (!outcome.ok) throw refusalError(outcome.reason);
}

function readForce(query: URLSearchParams): boolean {
  requireParameters(query, ["force"]);
  const force = query.get("force") ?? "false";
  if (force === "true" || force === "false") return force === "true";
  throw badQuery(`found force=${JSON.stringify(force)}; allowed: true, false`);
}

/** Without one nothing could run anywhere, and what runs would never be taken over. */
function requireAnotherWorker(nodeId: NodeId, members: readonly MemberAnswer[]): void {
  const workers = members.filter(takesWork);
  if (workers.length !== 1 || workers[0]!.nodeId !== nodeId) return;
  throw new ApiError(409, "last-node", "no other living node takes work: nothing could run", {
    hint: 'bring another node up or undo its drain first; "myco drain --force" drains it all the same',
  });
}

function takesWork({ status, roles, draining }: MemberAnswer): boolean {
  return (status === "alive" || status === "suspect") && roles.includes("member") && !draining;
}
