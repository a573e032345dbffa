// A live flow's persona does not flap: what is in force gives way to a clearly stronger sign at
// once, and to anything else only when k of the last m looks agree.

import { assert } from "../../kernel/assert.ts";
import type { Persona } from "../../schema/service.ts";
import type { FlowVerdict } from "../interface.ts";

/** A challenger must win so many … */
const VOTES_NEEDED = 2;
/** … of the last looks at the flow. */
const VOTES_LOOKED_AT = 3;
/** By so much more confidence a new sign needs no vote: a name was learned, a signature matched. */
const CLEARLY_STRONGER = 0.2;
const VOTES_MASK = (1 << VOTES_LOOKED_AT) - 1;

/** What is remembered of one flow. */
interface Standing {
  verdict: FlowVerdict;
  challenger: Persona | null;
  /** The last looks, newest in the lowest bit; 1: it was the challenger's. */
  votes: number;
}

export class StickyVerdicts {
  readonly #flowsMax: number;
  readonly #standings = new Map<number, Standing>();

  /** @param flowsMax flows remembered; the one first seen makes room */
  constructor(flowsMax: number) {
    assert(flowsMax > 0, "some flow is remembered");
    this.#flowsMax = flowsMax;
  }

  get size(): number {
    return this.#standings.size;
  }

  /**
   * Takes a fresh look at a flow into account.
   * @param flowId unique in the tap's life
   * @returns the verdict in force: the same object as before when nothing changed
   */
  judge(flowId: number, fresh: FlowVerdict): FlowVerdict {
    const standing = this.#standings.get(flowId);
    if (standing === undefined) {
      this.#remember(flowId, fresh);
      return fresh;
    }
    if (fresh.persona === standing.verdict.persona) agree(standing, fresh);
    else if (isDecisive(standing.verdict, fresh)) adopt(standing, fresh);
    else challenge(standing, fresh);
    return standing.verdict;
  }

  /** The flow has ended. */
  forget(flowId: number): void {
    this.#standings.delete(flowId);
  }

  #remember(flowId: number, verdict: FlowVerdict): void {
    if (this.#standings.size >= this.#flowsMax) {
      const [oldest] = this.#standings.keys();
      this.#standings.delete(oldest!);
    }
    this.#standings.set(flowId, { verdict, challenger: null, votes: 0 });
  }
}

/** The same persona: it may grow more trusted, or learn its name; it does not grow less so. */
function agree(standing: Standing, fresh: FlowVerdict): void {
  standing.votes = (standing.votes << 1) & VOTES_MASK;
  const { verdict } = standing;
  const isMore = fresh.confidence > verdict.confidence || isGiven(verdict) !== isGiven(fresh);
  const isNamed = verdict.hostname === null && fresh.hostname !== null;
  if (isMore || isNamed) standing.verdict = fresh;
}

function adopt(standing: Standing, fresh: FlowVerdict): void {
  standing.verdict = fresh;
  standing.challenger = null;
  standing.votes = 0;
}

/** A look that finds nothing is a look, and no vote. */
function challenge(standing: Standing, fresh: FlowVerdict): void {
  const isVote = fresh.persona !== "unknown";
  if (isVote && standing.challenger !== fresh.persona) {
    standing.challenger = fresh.persona;
    standing.votes = 0;
  }
  standing.votes = ((standing.votes << 1) | (isVote ? 1 : 0)) & VOTES_MASK;
  if (isVote && countVotes(standing.votes) >= VOTES_NEEDED) adopt(standing, fresh);
}

function countVotes(votes: number): number {
  let count = 0;
  for (let left = votes; left !== 0; left &= left - 1) count += 1;
  return count;
}

/** What people say counts at once, coming and going, and so does a clearly stronger sign. */
function isDecisive(held: FlowVerdict, fresh: FlowVerdict): boolean {
  if (isGiven(held) || isGiven(fresh)) return true;
  return held.persona === "unknown" || fresh.confidence >= held.confidence + CLEARLY_STRONGER;
}

/** A rule's or a declaration's persona, not one that was worked out. */
function isGiven({ signals }: FlowVerdict): boolean {
  return signals[0] === "rule" || signals[0] === "declared";
}
