// The scenarios, each a row of parameters. Those named 50 to 256 have the figures of Myco's
// ancestor in Zig, so that the two can be compared.

import { RECORD_BYTES_MAX } from "../src/kernel/limits.ts";
import { randomBelow, randomChance, type SeededRandom } from "../src/kernel/random.ts";
import type { ReplicaCapacity } from "../src/node/interface.ts";
import { CLAIM_STATES } from "../src/schema/node-info.ts";
import { CLOCK_DRIFT_MAX_MS } from "../src/sync/hybrid-clock.ts";
import { drawInteger } from "./draw.ts";
import { type FaultParameters, NO_FAULTS } from "./faults.ts";
import type { NetworkParameters } from "./network.ts";
import { drawWorkload, FEW_CLAIM_STATES, type WorkloadParameters } from "./workload.ts";

/** Lines and faults from a tick on. */
export interface Stage {
  readonly fromTick: number;
  readonly network: NetworkParameters;
  readonly faults: FaultParameters;
}

export interface Scenario {
  readonly name: string;
  readonly summary: string;
  readonly nodes: number;
  /** Of these, so many start with an empty log and know three addresses only. */
  readonly coldNodes: number;
  /** Of these, so many are revoked while they write and others do not know yet. */
  readonly revokedNodes: number;
  /** Of these, so many whose slots carry signatures that do not hold. */
  readonly liarNodes: number;
  /** Beyond these, so many with certificates of another root, which try to get in. */
  readonly rogueNodes: number;
  readonly workload: WorkloadParameters;
  readonly stages: readonly Stage[];
  /** Faults go on until then; after it all must converge. 0: there are none. */
  readonly faultsUntilTick: number;
  /** By this tick all nodes agree, or the run has failed. */
  readonly tickLimit: number;
  /** A run that sends more has failed. */
  readonly packetLimit: number;
  readonly capacity: ReplicaCapacity;
  readonly logBatchBytes: number;
  /** Each node's disk takes between 0 and so many ticks a write. */
  readonly writeTicksMax: number;
  readonly skew: SkewParameters;
  /** Every node in turn loses power at this pace; 0: none does. */
  readonly rollingCrashTicks: number;
  /** Single crashes at given ticks. */
  readonly crashes: readonly { readonly node: number; readonly atTick: number }[];
  /** `reaped`: converged, and every tombstone gone. */
  readonly goal: "converged" | "reaped";
  /** More than this per node and the run has failed. */
  readonly memoryPerNodeBytesMax: number;
}

/** Up to how far clocks are off, either way. */
export interface SkewParameters {
  readonly offsetMsMax: number;
  readonly driftPpmMax: number;
  readonly swingMsMax: number;
  /** One node's clock is off by more than others believe. */
  readonly hasOutlier: boolean;
}

const IN_FLIGHT_MAX = 65_536;
/** Ordinary clocks: together within half of what nodes tolerate, as any two may differ. */
const ORDINARY_SKEW: SkewParameters = {
  offsetMsMax: CLOCK_DRIFT_MAX_MS / 10,
  driftPpmMax: 100,
  swingMsMax: CLOCK_DRIFT_MAX_MS / 20,
  hasOutlier: false,
};
const EXACT_CLOCKS: SkewParameters = {
  offsetMsMax: 0,
  driftPpmMax: 0,
  swingMsMax: 0,
  hasOutlier: false,
};

function lines(
  lossRate: number,
  latencyMinTicks: number,
  latencyJitterTicks: number,
  more: Partial<NetworkParameters> = {},
): NetworkParameters {
  const usual = { tailRate: 0, duplicateRate: 0, inFlightMax: IN_FLIGHT_MAX };
  return { lossRate, latencyMinTicks, latencyJitterTicks, ...usual, ...more };
}

function tableFor(nodes: number, services: number): ReplicaCapacity {
  const slots = Math.ceil(((nodes + services) * 8) / 7) + 64;
  return { slots, arenaBytes: slots * 256 };
}

/** For nodes that publish as many claims as a slot holds. */
function tableWithClaimsFor(nodes: number, services: number): ReplicaCapacity {
  const { slots, arenaBytes } = tableFor(nodes, services);
  return { slots, arenaBytes: arenaBytes + nodes * RECORD_BYTES_MAX };
}

const QUIET: Omit<Scenario, "name" | "summary" | "nodes" | "workload" | "stages" | "capacity"> = {
  coldNodes: 0,
  revokedNodes: 0,
  liarNodes: 0,
  rogueNodes: 0,
  faultsUntilTick: 0,
  tickLimit: 2_000,
  packetLimit: Number.MAX_SAFE_INTEGER,
  logBatchBytes: 8 * 1024,
  writeTicksMax: 0,
  skew: EXACT_CLOCKS,
  rollingCrashTicks: 0,
  crashes: [],
  goal: "converged",
  memoryPerNodeBytesMax: Number.MAX_SAFE_INTEGER,
};

function puts(services: number, batch: number, everyTicks: number): WorkloadParameters {
  return {
    services,
    updates: 0,
    deletes: 0,
    batch,
    everyTicks,
    conflictRate: 0,
    claimRate: 0,
    claimStates: FEW_CLAIM_STATES,
  };
}

/** A row of the ancestor's table. */
interface PeerRow {
  readonly nodes: number;
  readonly stages: readonly {
    readonly fromTick: number;
    readonly lossRate: number;
    readonly latencyTicks: number;
    readonly jitterTicks: number;
    readonly crashRate: number;
  }[];
  readonly partition:
    | readonly [
        size: readonly [number, number],
        duration: readonly [number, number],
        cooldown: readonly [number, number],
      ]
    | null;
  readonly tickLimit: number;
  readonly packetLimit?: number;
  readonly inFlightMax?: number;
  readonly crashes?: Scenario["crashes"];
}

/**
 * The ancestor's rows read the hard way: a crash strikes one running node of the cluster at
 * the given rate per tick, and faults do not end with the injection but go on for two thirds
 * of the limit. What converges first are the nodes in reach of each other; after the faults
 * end, all nodes must agree within the limit, by hash.
 */
function peerScenario(name: string, row: PeerRow): Scenario {
  const { partition } = row;
  const stages = row.stages.map((stage) => ({
    fromTick: stage.fromTick,
    network: lines(stage.lossRate, stage.latencyTicks, stage.jitterTicks, {
      inFlightMax: row.inFlightMax ?? IN_FLIGHT_MAX,
    }),
    faults: {
      ...NO_FAULTS,
      crashRate: stage.crashRate,
      partition: partition && {
        size: partition[0],
        durationTicks: partition[1],
        cooldownTicks: partition[2],
        asymmetricRate: 0,
      },
    },
  }));
  const hasFaults = partition !== null;
  return {
    ...QUIET,
    name,
    summary: `the peers' scenario of ${row.nodes} nodes, limit ${row.tickLimit} ticks`,
    nodes: row.nodes,
    workload: puts(row.nodes, 6, 5),
    stages,
    faultsUntilTick: hasFaults ? Math.floor((row.tickLimit * 2) / 3) : 0,
    tickLimit: row.tickLimit,
    packetLimit: row.packetLimit ?? Number.MAX_SAFE_INTEGER,
    capacity: tableFor(row.nodes, row.nodes),
    crashes: row.crashes ?? [],
  };
}

const PEER_SCENARIOS: readonly Scenario[] = [
  peerScenario("50", {
    nodes: 50,
    stages: [{ fromTick: 0, lossRate: 0.03, latencyTicks: 6, jitterTicks: 12, crashRate: 0.0025 }],
    partition: [
      [3, 18],
      [60, 150],
      [400, 800],
    ],
    tickLimit: 900,
  }),
  peerScenario("heavy", {
    nodes: 50,
    stages: [{ fromTick: 0, lossRate: 0.08, latencyTicks: 8, jitterTicks: 16, crashRate: 0.01 }],
    partition: [
      [5, 20],
      [120, 260],
      [500, 900],
    ],
    tickLimit: 1_500,
  }),
  peerScenario("extreme", {
    nodes: 50,
    stages: [{ fromTick: 0, lossRate: 0.3, latencyTicks: 10, jitterTicks: 20, crashRate: 0.05 }],
    partition: [
      [5, 25],
      [120, 240],
      [400, 800],
    ],
    tickLimit: 5_000,
  }),
  peerScenario("edge", {
    nodes: 50,
    stages: [
      { fromTick: 0, lossRate: 0.05, latencyTicks: 60, jitterTicks: 40, crashRate: 0.02 },
      { fromTick: 1_200, lossRate: 0.1, latencyTicks: 80, jitterTicks: 50, crashRate: 0.03 },
      { fromTick: 2_400, lossRate: 0.02, latencyTicks: 40, jitterTicks: 20, crashRate: 0.01 },
    ],
    partition: [
      [8, 22],
      [200, 450],
      [800, 1_600],
    ],
    tickLimit: 3_500,
    packetLimit: 250_000,
    inFlightMax: 3_000,
    crashes: [{ node: 11, atTick: 2_000 }],
  }),
  peerScenario("100", {
    nodes: 100,
    stages: [{ fromTick: 0, lossRate: 0.03, latencyTicks: 6, jitterTicks: 12, crashRate: 0.003 }],
    partition: [
      [4, 32],
      [80, 180],
      [500, 900],
    ],
    tickLimit: 1_100,
  }),
  peerScenario("256", {
    nodes: 256,
    stages: [{ fromTick: 0, lossRate: 0, latencyTicks: 0, jitterTicks: 2, crashRate: 0 }],
    partition: null,
    tickLimit: 2_000,
  }),
];

const SEED_SCENARIO: Scenario = {
  ...QUIET,
  name: "seed",
  summary: "50 nodes, 1,000 services, half of all packets lost",
  nodes: 50,
  workload: puts(1_000, 20, 5),
  stages: [{ fromTick: 0, network: lines(0.5, 1, 2), faults: NO_FAULTS }],
  capacity: { slots: 1_280, arenaBytes: 256 * 1024 },
  memoryPerNodeBytesMax: 512 * 1024 - 1,
};

const DELETES_NETWORK = lines(0.2, 1, 4, { tailRate: 0.05, duplicateRate: 0.05 });
const DELETES_FAULTS: FaultParameters = {
  ...NO_FAULTS,
  crashRate: 0.01,
  downTicks: [20, 120],
  partition: {
    size: [1, 4],
    durationTicks: [60, 200],
    cooldownTicks: [100, 400],
    asymmetricRate: 0.3,
  },
};

/**
 * Tombstones are kept for a quarter of an hour before anybody offers to drop them. Just then
 * logs that have both a service and its deletion begin to rot, and may lose the deletion only.
 */
const DELETES_SCENARIO: Scenario = {
  ...QUIET,
  name: "deletes",
  summary: "services come, change and go while everything fails; no trace of the deleted remains",
  nodes: 8,
  workload: {
    services: 60,
    updates: 60,
    deletes: 60,
    batch: 2,
    everyTicks: 8,
    conflictRate: 0.2,
    claimRate: 0.1,
    claimStates: FEW_CLAIM_STATES,
  },
  stages: [
    { fromTick: 0, network: DELETES_NETWORK, faults: DELETES_FAULTS },
    {
      fromTick: 9_600,
      network: DELETES_NETWORK,
      faults: { ...DELETES_FAULTS, crashRate: 0.02, rotRate: 0.5 },
    },
  ],
  faultsUntilTick: 12_000,
  tickLimit: 20_000,
  capacity: tableWithClaimsFor(8, 60),
  writeTicksMax: 2,
  skew: ORDINARY_SKEW,
  goal: "reaped",
};

/** The same with claims in every state there is: another history for each seed. */
const DELETES_ALL_SCENARIO: Scenario = {
  ...DELETES_SCENARIO,
  name: "deletes-all",
  summary: "as deletes, with claims in every state",
  workload: { ...DELETES_SCENARIO.workload, claimStates: CLAIM_STATES },
};

const RESTARTS_SCENARIO: Scenario = {
  ...QUIET,
  name: "restarts",
  summary: "every node in turn loses power in the middle of a write",
  nodes: 20,
  workload: {
    services: 120,
    updates: 120,
    deletes: 20,
    batch: 2,
    everyTicks: 4,
    conflictRate: 0.2,
    claimRate: 0.1,
    claimStates: FEW_CLAIM_STATES,
  },
  stages: [
    {
      fromTick: 0,
      network: lines(0.05, 1, 2),
      faults: { ...NO_FAULTS, downTicks: [10, 60], rotRate: 0.2 },
    },
  ],
  faultsUntilTick: 900,
  tickLimit: 2_000,
  capacity: tableWithClaimsFor(20, 120),
  writeTicksMax: 3,
  skew: ORDINARY_SKEW,
  rollingCrashTicks: 20,
};

const REVOCATION_SCENARIO: Scenario = {
  ...QUIET,
  name: "revocation",
  summary: "nodes are revoked while they write, some out of reach; strangers forge and replay",
  nodes: 16,
  revokedNodes: 4,
  liarNodes: 2,
  rogueNodes: 2,
  workload: {
    services: 60,
    updates: 40,
    deletes: 10,
    batch: 1,
    everyTicks: 5,
    conflictRate: 0.2,
    claimRate: 0.1,
    claimStates: FEW_CLAIM_STATES,
  },
  stages: [
    {
      fromTick: 0,
      network: lines(0.1, 1, 3, { duplicateRate: 0.05 }),
      faults: {
        ...NO_FAULTS,
        crashRate: 0.005,
        partition: {
          size: [2, 7],
          durationTicks: [60, 200],
          cooldownTicks: [60, 200],
          asymmetricRate: 0.2,
        },
        forgeryRate: 0.9,
      },
    },
  ],
  faultsUntilTick: 1_200,
  tickLimit: 2_500,
  capacity: tableWithClaimsFor(22, 100),
  skew: ORDINARY_SKEW,
};

const THOUSAND_SCENARIO: Scenario = {
  ...QUIET,
  name: "thousand",
  summary: "1,000 nodes, 1,000 services, one packet in a hundred lost",
  nodes: 1_000,
  workload: puts(1_000, 20, 5),
  stages: [{ fromTick: 0, network: lines(0.01, 1, 2), faults: NO_FAULTS }],
  tickLimit: 1_500,
  // Its slots take 200 bytes on average: half of them nodes, their certificates inside.
  capacity: { ...tableFor(1_000, 1_000), arenaBytes: 470_000 },
};

/** What a node sends must not depend on how many there are: the same with a tenth of them. */
const HUNDRED_SCENARIO: Scenario = {
  ...THOUSAND_SCENARIO,
  name: "hundred",
  summary: "as thousand, with 100 nodes: a node sends the same",
  nodes: 100,
  capacity: tableFor(100, 1_000),
};

/** What a soak runs on, with writes that never end. */
const STEADY_SCENARIO: Scenario = {
  ...QUIET,
  name: "steady",
  summary: "a small cluster at daily work, as the soak runs it for minutes",
  nodes: 12,
  workload: { ...puts(100, 4, 5), claimRate: 0.1 },
  stages: [{ fromTick: 0, network: lines(0.05, 1, 2, { duplicateRate: 0.02 }), faults: NO_FAULTS }],
  capacity: tableWithClaimsFor(12, 100),
  skew: ORDINARY_SKEW,
};

const LONG_SWARM_RATE = 0.06;

/** What `swarm` is called before its seed is known. */
const SWARM_SUMMARY = "the seed draws the cluster, the work and everything that goes wrong";

function drawFaults(random: SeededRandom, nodes: number): FaultParameters {
  const sometimes = (rateMax: number) =>
    randomChance(random, 0.5) ? (rateMax * (1 + randomBelow(random, 100))) / 100 : 0;
  const cutMax = Math.max(1, Math.floor(nodes / 2));
  return {
    crashRate: sometimes(0.04),
    downTicks: [5, drawInteger(random, [20, 200])],
    partition: randomChance(random, 0.6)
      ? {
          size: [1, cutMax],
          durationTicks: [20, drawInteger(random, [40, 300])],
          cooldownTicks: [20, drawInteger(random, [40, 400])],
          asymmetricRate: sometimes(1),
        }
      : null,
    clogRate: sometimes(0.1),
    clogTicks: [5, 80],
    pauseRate: sometimes(0.03),
    pauseTicks: [5, 120],
    rotRate: sometimes(0.6),
    fullDiskRate: sometimes(0.02),
    fullDiskTicks: [10, 150],
    clockStepRate: sometimes(0.03),
    clockStepMsMax: CLOCK_DRIFT_MAX_MS / 4,
    forgeryRate: sometimes(1),
  };
}

/** A scenario of its own for each seed. */
function drawSwarm(random: SeededRandom): Scenario {
  // Now and then a small cluster lives long enough for tombstones to be reaped.
  const isLong = randomChance(random, LONG_SWARM_RATE);
  const nodes = drawInteger(random, isLong ? [3, 6] : [3, 24]);
  const hasRevocations = nodes >= 6 && randomChance(random, 0.3);
  const faultsUntilTick = drawInteger(random, isLong ? [9_800, 12_000] : [300, 1_200]);
  const workload = drawWorkload(random);
  return {
    ...QUIET,
    name: "swarm",
    summary: SWARM_SUMMARY,
    nodes,
    coldNodes: randomChance(random, 0.4) ? randomBelow(random, nodes - 1) : 0,
    revokedNodes: hasRevocations ? drawInteger(random, [1, Math.floor(nodes / 3)]) : 0,
    // A liar's word on tombstones is believed by nobody, and nothing is reaped without it.
    liarNodes: nodes >= 6 && !isLong && randomChance(random, 0.2) ? 1 : 0,
    rogueNodes: randomChance(random, 0.2) ? 1 : 0,
    workload,
    stages: [
      {
        fromTick: 0,
        network: lines(
          randomBelow(random, 30) / 100,
          drawInteger(random, [0, 6]),
          drawInteger(random, [0, 10]),
          {
            tailRate: randomBelow(random, 10) / 100,
            duplicateRate: randomBelow(random, 10) / 100,
          },
        ),
        faults: drawFaults(random, nodes),
      },
    ],
    faultsUntilTick,
    tickLimit: faultsUntilTick + (isLong ? 12_500 : 2_500),
    goal: isLong ? "reaped" : "converged",
    capacity: tableWithClaimsFor(nodes + 4, workload.services + 40),
    writeTicksMax: drawInteger(random, [0, 5]),
    skew: randomChance(random, 0.4)
      ? EXACT_CLOCKS
      : { ...ORDINARY_SKEW, hasOutlier: randomChance(random, 0.3) },
  };
}

const FIXED_SCENARIOS: readonly Scenario[] = [
  SEED_SCENARIO,
  ...PEER_SCENARIOS,
  DELETES_SCENARIO,
  DELETES_ALL_SCENARIO,
  RESTARTS_SCENARIO,
  REVOCATION_SCENARIO,
  HUNDRED_SCENARIO,
  THOUSAND_SCENARIO,
  STEADY_SCENARIO,
];

/** Name and one line on each, in the order of the documentation. */
export const SCENARIO_LIST: readonly { readonly name: string; readonly summary: string }[] = [
  ...FIXED_SCENARIOS,
  { name: "swarm", summary: SWARM_SUMMARY },
];

/** The scenario of that name, or null. `swarm` is drawn from `random`. */
export function scenarioNamed(name: string, random: SeededRandom): Scenario | null {
  if (name === "swarm") return drawSwarm(random);
  return FIXED_SCENARIOS.find((scenario) => scenario.name === name) ?? null;
}
