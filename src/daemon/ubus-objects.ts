// What the daemon offers on ubus: the flow plane's part of the API under OpenWrt's names. The
// answers are those of src/api/contract.ts, and so are the words of a refusal.

import { ApiError } from "../api/api-error.ts";
import type { ApiBackend, FlowBackend } from "../api/backend.ts";
import type { PersonaRuleAnswer, PolicyAnswer } from "../api/contract.ts";
import { explainRuleErrors, personaOf, treatmentOf } from "../api/flow-routes.ts";
import { flowOf, reload } from "../api/routes.ts";
import { UBUS_STATUS } from "../flow/ubus/message.ts";
import {
  type ArgumentType,
  type UbusArguments,
  type UbusMethod,
  type UbusObject,
  UbusRefusal,
} from "../flow/ubus/object.ts";
import { DECISIONS_KEPT, UBUS_FLOWS_MAX } from "../kernel/limits.ts";
import { VERSION } from "../kernel/version.ts";
import type { PersonaTreatment } from "../schema/flow-settings.ts";
import { foundAndAllowed } from "../schema/problem.ts";

/** The object whose subscribers hear of decisions. */
export const MYCO_OBJECT = "myco";

const FLOWS_DEFAULT = 20;
/** In place of a treatment: what the configuration says. */
const AS_CONFIGURED = "configuration";

/** What a refusal of the API is in the words of ubus; all others are failures. */
const STATUS_OF_HTTP: Readonly<Record<number, number>> = {
  400: UBUS_STATUS.invalidArgument,
  404: UBUS_STATUS.notFound,
  409: UBUS_STATUS.notSupported,
  422: UBUS_STATUS.invalidArgument,
  503: UBUS_STATUS.timeout,
};

export function mycoObjects(backend: ApiBackend): UbusObject[] {
  const flow = (): FlowBackend => flowOf(backend);
  return [
    {
      path: MYCO_OBJECT,
      methods: {
        status: method({}, () => status(backend)),
        health: method({}, () => backend.health()),
        reload: method({}, () => reload(backend)),
        flows: method({ limit: "number" }, ({ limit = FLOWS_DEFAULT }) => ({
          flows: flow().flows(wholeNumber("limit", limit, UBUS_FLOWS_MAX)),
        })),
        decisions: method({ limit: "number" }, ({ limit = DECISIONS_KEPT }) => ({
          decisions: newest(flow(), wholeNumber("limit", limit, DECISIONS_KEPT)),
        })),
      },
    },
    {
      path: "myco.persona",
      methods: {
        list: method({}, () => ({ rules: flow().rules() })),
        add: method(
          {
            persona: "string",
            device: "string",
            name: "string",
            port: "string",
            service: "string",
          },
          (rule) => ruleAnswer(() => flow().addRule(rule)),
        ),
        delete: method({ id: "number" }, ({ id }) =>
          ruleAnswer(() => flow().deleteRule(wholeNumber("id", id, Number.MAX_SAFE_INTEGER))),
        ),
      },
    },
    {
      path: "myco.policy",
      methods: {
        get: method({}, () => ({ policy: flow().policy() })),
        set: method({ persona: "string", treatment: "string" }, ({ persona, treatment }) =>
          setPolicy(flow(), persona, readTreatment(treatment)),
        ),
        boost: method({ persona: "string" }, ({ persona }) => setPolicy(flow(), persona, "boost")),
        throttle: method({ persona: "string" }, ({ persona }) =>
          setPolicy(flow(), persona, "throttle"),
        ),
      },
    },
  ];
}

/** A method whose refusals are told in the words of the API. */
function method(
  takes: Readonly<Record<string, ArgumentType>>,
  answer: (given: UbusArguments) => object | Promise<object>,
): UbusMethod {
  return {
    takes,
    answer(given) {
      try {
        const found = answer(given);
        return found instanceof Promise ? found.catch(refuse) : found;
      } catch (error) {
        return refuse(error as Error);
      }
    },
  };
}

function refuse(error: Error): never {
  const status = error instanceof ApiError ? STATUS_OF_HTTP[error.status] : undefined;
  if (!(error instanceof ApiError) || status === undefined) throw error;
  throw new UbusRefusal(status, error.toAnswer());
}

/** The line at a glance, and the daemon's own health. */
function status(backend: ApiBackend): object {
  const line = backend.flow?.status() ?? { phase: "stopped", problem: "the flow plane is off" };
  return { version: VERSION, health: backend.health(), ...line };
}

/** The newest last. */
function newest(flow: FlowBackend, limit: number): readonly object[] {
  const { decisions } = flow.status();
  return decisions.slice(Math.max(0, decisions.length - limit));
}

function ruleAnswer(change: () => PersonaRuleAnswer["rule"]): PersonaRuleAnswer {
  return explainRuleErrors(() => ({ rule: change() }));
}

function setPolicy(
  flow: FlowBackend,
  persona: string | number | undefined,
  treatment: PersonaTreatment | null,
): PolicyAnswer {
  flow.setPolicy(personaOf(String(persona ?? "")), treatment);
  return { policy: flow.policy() };
}

function readTreatment(treatment: string | number | undefined): PersonaTreatment | null {
  return treatment === AS_CONFIGURED ? null : treatmentOf({ treatment });
}

function wholeNumber(name: string, found: string | number | undefined, max: number): number {
  if (Number.isSafeInteger(found) && Number(found) >= 0 && Number(found) <= max) {
    return Number(found);
  }
  const problem = foundAndAllowed(found, `a whole number from 0 to ${max}`);
  throw new ApiError(400, "argument-invalid", `${name}: ${problem}`);
}
