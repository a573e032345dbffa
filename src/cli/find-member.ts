// Which node a person means by a word.

import type { MemberAnswer } from "../api/contract.ts";
import type { NodeId } from "../schema/node-id.ts";
import { CommandError } from "./command-error.ts";
import { EXIT } from "./exit-codes.ts";

/** A beginning of an id shorter than this is taken for a host name. */
const ID_DIGITS_MIN = 4;

/**
 * The node with this id, this beginning of an id, or this host name. A whole id is taken at
 * its word even when no member has it: it may have been invited and never seen.
 */
export function findMember(
  members: readonly Pick<MemberAnswer, "nodeId" | "hostname">[],
  word: string,
): NodeId {
  if (/^[0-9a-f]{16}$/.test(word)) return word;
  const mayBeId = word.length >= ID_DIGITS_MIN && /^[0-9a-f]+$/.test(word);
  const meant = members.filter(
    ({ nodeId, hostname }) => hostname === word || (mayBeId && nodeId.startsWith(word)),
  );
  if (meant.length === 1) return meant[0]!.nodeId;
  if (meant.length === 0) {
    const known = members.map(({ hostname, nodeId }) => `${hostname} (${nodeId})`).join(", ");
    throw new CommandError(EXIT.notFound, `no node is called ${word}`, `there are: ${known}`);
  }
  const both = meant.map(({ nodeId }) => nodeId).join(", ");
  throw new CommandError(
    EXIT.usage,
    `${meant.length} nodes are called ${word}`,
    `give an id: ${both}`,
  );
}
