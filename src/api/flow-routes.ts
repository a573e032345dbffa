// The routes that change what the flow plane does, and the one that records it.

import type { IncomingMessage, ServerResponse } from "node:http";
import { PERSONA_TREATMENTS, type PersonaTreatment } from "../schema/flow-settings.ts";
import { didYouMean, foundAndAllowed } from "../schema/problem.ts";
import { PERSONAS, type Persona } from "../schema/service.ts";
import { ApiError } from "./api-error.ts";
import type { FlowBackend } from "./backend.ts";
import type { PolicyAnswer } from "./contract.ts";
import type { Followers } from "./event-hub.ts";
import { readJsonBody } from "./request-body.ts";

/** `GET /flow/recording`: the loop's inputs, a line each, until the reader leaves. */
export function recordFlow(
  response: ServerResponse,
  flow: FlowBackend,
  followers: Followers,
): void {
  if (flow.status().recording) {
    throw new ApiError(409, "recording", "a recording is under way already", {
      hint: "end that one first, or wait for its end",
    });
  }
  let stop: (() => void) | null = null;
  followers.add(response, "application/x-ndjson", () => stop?.());
  stop = flow.record((line) => followers.send(response, `${line}\n`));
}

/** `PUT /flow/policy/PERSONA` with `{"treatment": "boost"}`. */
export async function setPolicy(
  request: IncomingMessage,
  name: string,
  flow: FlowBackend,
): Promise<PolicyAnswer> {
  const persona = personaOf(name);
  flow.setPolicy(persona, treatmentOf(await readJsonBody(request)));
  return { policy: flow.policy() };
}

/** `DELETE /flow/policy/PERSONA`: what the configuration says is in force again. */
export function unsetPolicy(name: string, flow: FlowBackend): PolicyAnswer {
  flow.setPolicy(personaOf(name), null);
  return { policy: flow.policy() };
}

function personaOf(name: string): Persona {
  const persona = PERSONAS.find((each) => each === name);
  if (persona !== undefined) return persona;
  const problem = foundAndAllowed(name, PERSONAS.join(", ")) + didYouMean(name, PERSONAS);
  throw new ApiError(404, "unknown-persona", `no such persona: ${problem}`);
}

function treatmentOf(body: unknown): PersonaTreatment {
  const { treatment: found } = (body ?? {}) as { treatment?: unknown };
  const treatment = PERSONA_TREATMENTS.find((each) => each === found);
  if (treatment !== undefined) return treatment;
  const problem = foundAndAllowed(found, PERSONA_TREATMENTS.join(", "));
  throw new ApiError(422, "treatment-invalid", `treatment: ${problem}`);
}
