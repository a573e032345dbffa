// What a service slot says: which program, where it may run, and how to tell that it is well.

/** Who a flow belongs to in the router's eyes; a service may declare its own. */
export const PERSONAS = [
  "unknown",
  "voip",
  "gaming",
  "video",
  "streaming",
  "interactive",
  "web",
  "bulk",
  "torrent",
  "system",
] as const;
export type Persona = (typeof PERSONAS)[number];

export const ARCHITECTURES = ["x86_64", "aarch64", "armv7", "riscv64", "i686"] as const;
export type Architecture = (typeof ARCHITECTURES)[number];

export interface ServicePort {
  /** 1 to 65535, as the program listens. */
  readonly port: number;
  readonly protocol: "tcp" | "udp";
  /** For SRV names (`_NAME._tcp.SERVICE.myco`); empty when the port needs none. */
  readonly name: string;
}

interface HealthTiming {
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Failures inside this time after a start do not count. */
  readonly graceMs: number;
}

export type HealthCheck =
  | ({ readonly kind: "http"; readonly port: number; readonly path: string } & HealthTiming)
  | ({ readonly kind: "tcp"; readonly port: number } & HealthTiming)
  | ({ readonly kind: "exec"; readonly command: readonly string[] } & HealthTiming);

/** How many instances: a number from 1, or one on every eligible node. */
export type Replicas = number | "all";

/** What a service may reach: everything, the machine and its own networks, or nothing. */
export const NETWORK_REACHES = ["any", "local", "none"] as const;
export type NetworkReach = (typeof NETWORK_REACHES)[number];

export const RESTART_POLICIES = ["always", "on-failure"] as const;
export type RestartPolicy = (typeof RESTART_POLICIES)[number];

export interface ServiceSpec {
  /** A DNS label: `[a-z]([a-z0-9-]{0,61}[a-z0-9])?`. */
  readonly name: string;
  /** Nix flake URI with its attribute; empty when `exec` stands on the machine already. */
  readonly flake: string;
  /** The program: absolute, or relative to the flake's output. */
  readonly exec: string;
  readonly args: readonly string[];
  /** Sorted by name, each name once. */
  readonly env: readonly (readonly [name: string, value: string])[];
  readonly ports: readonly ServicePort[];
  /** Empty: any. */
  readonly arch: readonly Architecture[];
  /** Device paths a node must have, such as `/dev/dri`. */
  readonly devices: readonly string[];
  /** Only nodes of this zone (0 to 255); null: any. */
  readonly zone: number | null;
  /** Labels a node must carry. Sorted by name. */
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly replicas: Replicas;
  /** Stop rather than risk two: runs only where a majority of the roster is in reach. */
  readonly singleton: boolean;
  readonly health: HealthCheck | null;
  /** A command that must succeed before each start, such as a migration; empty for none. */
  readonly preStart: readonly string[];
  /** 0: no limit. */
  readonly memoryMaxBytes: number;
  /** Percent of one processor; 0: no limit. */
  readonly cpuQuotaPercent: number;
  /** "unknown": let the router infer it. */
  readonly persona: Persona;
  /**
   * What the flake was resolved to by the node that took the deployment, so that every replica
   * runs the same: a git commit (40 or 64 hex digits) or a NAR hash (`sha256-…`, as Nix prints
   * it). Empty: not resolved.
   */
  readonly lock: string;
  /** May make memory executable, as the compilers inside Node and Java must. */
  readonly jit: boolean;
  /** Files of the node's secrets folder, handed over as credentials. Sorted, each once. */
  readonly secrets: readonly string[];
  /** Files of the node's secrets folder with lines NAME=VALUE for its environment. In order. */
  readonly environmentFiles: readonly string[];
  readonly restart: RestartPolicy;
  /** The program must say so often that it lives (sd_notify(3)); 0: nobody asks. */
  readonly watchdogMs: number;
  /** A calendar event (systemd.time(7)) at which it runs and ends; empty: it runs all the time. */
  readonly schedule: string;
  /** systemd listens on the TCP and UDP ports and starts the program with them (sd_listen_fds(3)). */
  readonly socketActivated: boolean;
  /** Services of one slice share `myco-SLICE.slice`; empty: none of its own. */
  readonly slice: string;
  readonly network: NetworkReach;
  /** Processes and threads it may have. */
  readonly tasksMax: number;
}
