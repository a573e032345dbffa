// How fast a replica speaks: every interval, count and age of the node room, in one place.

import { assert } from "../kernel/assert.ts";
import { PEER_QUEUE_PACKETS } from "../kernel/limits.ts";

/** While tables differ, a list goes to one peer this often. */
export const LIST_INTERVAL_MS = 300;
/** The newest slots that a list names; the rest of the packet carries rumoured records. */
export const LIST_RECENT_MAX = 300;
/** A packet with this much room left takes a list along, when its receiver differs. */
export const LIST_ALONG_BYTES_MIN = 700;
/** A peer found to be ahead is asked at once, but not sooner than this after the last list. */
export const LIST_REPEAT_MIN_MS = 300;
/** Packets of records for one peer in one tick; what is over, it asks for again. */
export const RECORD_PACKETS_PER_PEER = PEER_QUEUE_PACKETS;
/** Fresh records kept at hand to fill packets with; the most often sent makes room. */
export const RECORD_RUMOURS_MAX = 64;
/** A fresh record rides along at most this many times. */
export const RECORD_RUMOUR_SENDS_MAX = 3;
/** Member rumours in one packet. */
export const MEMBER_RUMOURS_PER_PACKET = 4;

/** A probe waits this long for its answer, or this many smoothed round trips. */
export const PROBE_TIMEOUT_MIN_MS = 1_000;
export const PROBE_TIMEOUT_ROUND_TRIPS = 3;
/** Before a round trip is known. */
export const ROUND_TRIP_GUESS_MS = 300;
/** Pings in one timeout: on a lossy line one alone says little. */
export const PING_REPEATS = 4;
/** Pings in one probe, while others are asked too. */
export const PINGS_PER_PROBE_MAX = 16;
/** A member without keys yet is not accused before this, twice. */
export const UNKNOWN_PEER_PATIENCE_MS = 5_000;
/** Relays asked to probe for us. */
export const INDIRECT_PROBES = 3;
/** Probes we run for others at a time; more are refused with a nack. */
export const RELAYED_PROBES_MAX = 16;

/** A handshake message is repeated after this, doubling up to the maximum. */
export const DIAL_RETRY_MIN_MS = 500;
export const DIAL_RETRY_MAX_MS = 8_000;
/** A dial without answer is given up after this; a wanted peer is dialled again. */
export const DIAL_GIVE_UP_MS = 30_000;
/** INITs to a member that is dead, or wanted only for another's probe. */
export const CASUAL_DIAL_SENDS = 3;
/** The member with the higher id leaves the other this long to dial first. */
export const DIAL_COURTESY_MS = 1_500;
/** A half-open handshake is forgotten after this. */
export const HALF_OPEN_MS = 20_000;
/** How often a lost member is dialled, one at a time. */
export const REJOIN_INTERVAL_MS = 5_000;
/** How often a seed is dialled while nobody is in reach. */
export const SEED_INTERVAL_MS = 1_000;
/** After a rekey, packets under the old keys are still opened for this long. */
export const OLD_SESSION_MS = 10_000;
/** How often a seed that is no member's endpoint is dialled while others are in reach. */
export const UNMET_SEED_INTERVAL_MS = 30_000;
/** Keys with one who is no neighbour, made for a probe or as a seed, are kept this long. */
export const CASUAL_SESSION_MS = 60_000;
/** Alone for this long with nobody to ask, a node takes its own table for complete. */
export const ALONE_MS = 5_000;

assert(LIST_REPEAT_MIN_MS >= LIST_INTERVAL_MS, "asking again is never faster than asking");
assert(DIAL_RETRY_MIN_MS < DIAL_RETRY_MAX_MS, "patience grows");
