// What a service says by leaving it out, in its manifest and in its record alike.

import type { ServiceSpec } from "./service.ts";

export const HEALTH_TIMING_DEFAULT = {
  intervalMs: 10_000,
  timeoutMs: 3_000,
  graceMs: 15_000,
} as const;

/** Every field at its default; a name and a program make it a service. */
export const SERVICE_DEFAULTS: Omit<ServiceSpec, "name" | "exec"> = {
  flake: "",
  args: [],
  env: [],
  ports: [],
  arch: [],
  devices: [],
  zone: null,
  labels: [],
  replicas: 1,
  singleton: false,
  health: null,
  preStart: [],
  memoryMaxBytes: 0,
  cpuQuotaPercent: 0,
  persona: "unknown",
  lock: "",
  jit: false,
  secrets: [],
  environmentFiles: [],
  restart: "always",
  watchdogMs: 0,
  schedule: "",
  socketActivated: false,
  slice: "",
  network: "any",
  tasksMax: 100,
};
