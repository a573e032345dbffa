// What is done for the flows of each persona: what a command asked for, and before that what the
// configuration says. The commands' part is kept over restarts.

import { join } from "node:path";
import type { PersonaPolicy } from "../api/contract.ts";
import {
  type FlowSettings,
  PERSONA_TREATMENTS,
  type PersonaTreatment,
} from "../schema/flow-settings.ts";
import { PERSONAS, type Persona } from "../schema/service.ts";
import { StateFile } from "./state-file.ts";

type Treatments = Partial<Record<Persona, PersonaTreatment>>;

export class PersonaPolicyStore {
  readonly #file: StateFile<Treatments>;
  #set: Treatments = {};

  constructor(dataDir: string) {
    this.#file = new StateFile(join(dataDir, "flow-policy.json"), parseTreatments);
  }

  /** Reads what is kept. @returns what is wrong with it, or null */
  load(): string | null {
    const found = this.#file.read();
    if (found === "damaged") {
      return `${this.#file.path} cannot be understood, and is left out; "myco flow policy" writes it anew`;
    }
    this.#set = found ?? {};
    return null;
  }

  /** @param treatment null: what the configuration says */
  set(persona: Persona, treatment: PersonaTreatment | null): void {
    const { [persona]: _before, ...others } = this.#set;
    const next = treatment === null ? others : { ...others, [persona]: treatment };
    this.#file.write(next);
    this.#set = next;
  }

  /** The settings with what the commands asked for. */
  over(settings: FlowSettings): FlowSettings {
    const { persona } = settings;
    const treatment = { ...persona.treatment, ...this.#set };
    return { ...settings, persona: { ...persona, treatment } };
  }

  /** One for each persona. */
  list({ persona: { treatment: written } }: FlowSettings): PersonaPolicy[] {
    return PERSONAS.map((persona) => {
      const set = this.#set[persona];
      if (set !== undefined) return { persona, treatment: set, from: "command" };
      const configured = written[persona];
      if (configured === undefined) return { persona, treatment: "normal", from: "default" };
      return { persona, treatment: configured, from: "configuration" };
    });
  }
}

function parseTreatments(value: unknown): Treatments | null {
  if (typeof value !== "object" || value === null) return null;
  const isKnown = Object.entries(value).every(
    ([persona, treatment]) =>
      PERSONAS.some((each) => each === persona) &&
      PERSONA_TREATMENTS.some((each) => each === treatment),
  );
  return isKnown ? (value as Treatments) : null;
}
