// The routes that change what the flow plane does, and the one that records it.

import type { IncomingMessage, ServerResponse } from "node:http";
import { PersonaRuleError } from "../flow/persona/rules.ts";
import { PERSONA_TREATMENTS, type PersonaTreatment } from "../schema/flow-settings.ts";
import { didYouMean, foundAndAllowed } from "../schema/problem.ts";
import { PERSONAS, type Persona } from "../schema/service.ts";
import { ApiError } from "./api-error.ts";
import type { FlowBackend } from "./backend.ts";
import type { PersonaRuleAnswer, PolicyAnswer } from "./contract.ts";
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

/** `POST /persona` with a rule. */
export async function addRule(
  request: IncomingMessage,
  flow: FlowBackend,
): Promise<PersonaRuleAnswer> {
  const rule = await readJsonBody(request);
  return explainRuleErrors(() => ({ rule: flow.addRule(rule) }));
}

/** `DELETE /persona/ID`. */
export function deleteRule(name: string, flow: FlowBackend): PersonaRuleAnswer {
  const id = /^[1-9][0-9]{0,8}$/.test(name) ? Number(name) : 0;
  return explainRuleErrors(() => ({ rule: flow.deleteRule(id) }));
}

const RULE_ERROR_STATUS: Readonly<Record<PersonaRuleError["code"], number>> = {
  ERR_PERSONA_RULE: 422,
  ERR_NO_PERSONA_RULE: 404,
  ERR_PERSONA_RULES_FULL: 409,
};

/** @throws ApiError in place of a PersonaRuleError */
export function explainRuleErrors<T>(change: () => T): T {
  try {
    return change();
  } catch (error) {
    if (!(error instanceof PersonaRuleError)) throw error;
    const code = error.code.replace("ERR_", "").replaceAll("_", "-").toLowerCase();
    throw new ApiError(RULE_ERROR_STATUS[error.code], code, error.message);
  }
}

/** @throws ApiError */
export function personaOf(name: string): Persona {
  const persona = PERSONAS.find((each) => each === name);
  if (persona !== undefined) return persona;
  const problem = foundAndAllowed(name, PERSONAS.join(", ")) + didYouMean(name, PERSONAS);
  throw new ApiError(404, "unknown-persona", `no such persona: ${problem}`);
}

/** @param body `{treatment}`. @throws ApiError */
export function treatmentOf(body: unknown): PersonaTreatment {
  const { treatment: found } = (body ?? {}) as { treatment?: unknown };
  const treatment = PERSONA_TREATMENTS.find((each) => each === found);
  if (treatment !== undefined) return treatment;
  const problem = foundAndAllowed(found, PERSONA_TREATMENTS.join(", "));
  throw new ApiError(422, "treatment-invalid", `treatment: ${problem}`);
}
