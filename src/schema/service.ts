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
}
