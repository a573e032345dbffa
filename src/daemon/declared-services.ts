// What the mesh tells the router: the addresses and ports at which services run that say
// themselves what they are for.

import type { DeclaredServices } from "../flow/persona/classifier.ts";
import { DECLARED_MAX } from "../kernel/limits.ts";
import type { Persona } from "../schema/service.ts";
import type { ClusterView } from "./cluster-view.ts";
import { hostOf } from "./dns-directory.ts";

/** News of the cluster reach the classifier within this time. */
const REFRESH_MS = 10_000;
/** IP protocol numbers (IANA). */
const PROTOCOL = { tcp: 6, udp: 17 } as const;

type ReadableView = Pick<ClusterView, "version" | "services" | "instancesOf">;

export class MeshDeclarations implements DeclaredServices {
  readonly #view: ReadableView;
  #personas = new Map<string, Persona>();
  #version = -1;
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(view: ReadableView) {
    this.#view = view;
  }

  personaAt(protocol: number, address: string, port: number): Persona | null {
    return this.#personas.get(keyOf(protocol, address, port)) ?? null;
  }

  /** Looks at the cluster when it is time to and there is news. Beyond DECLARED_MAX entries the rest is left out. */
  refresh(nowMs: number): void {
    if (nowMs < this.#nextMs || this.#view.version === this.#version) return;
    this.#nextMs = nowMs + REFRESH_MS;
    this.#version = this.#view.version;
    const personas = new Map<string, Persona>();
    for (const service of this.#view.services()) {
      const { persona, ports } = service.spec;
      if (persona === "unknown" || ports.length === 0) continue;
      for (const { member } of this.#view.instancesOf(service)) {
        for (const endpoint of member.info.endpoints) {
          for (const { port, protocol } of ports) {
            if (personas.size >= DECLARED_MAX) break;
            personas.set(keyOf(PROTOCOL[protocol], hostOf(endpoint), port), persona);
          }
        }
      }
    }
    this.#personas = personas;
  }
}

function keyOf(protocol: number, address: string, port: number): string {
  return `${protocol} ${address} ${port}`;
}
