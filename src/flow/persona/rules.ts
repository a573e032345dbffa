// The user's own rules: this device, this name, this port is of that persona. They win over
// everything the wire says. Kept as JSON by the daemon.

import * as z from "zod/mini";
import { PERSONA_RULES_MAX } from "../../kernel/limits.ts";
import { formatIpv6, parseIpv4, parseIpv6 } from "../../schema/endpoint.ts";
import { formatPath, foundAndAllowed } from "../../schema/problem.ts";
import { PERSONAS, type Persona } from "../../schema/service.ts";
import { explainIssue, text } from "../../schema/setting.ts";
import { SERVICES, type Service } from "../interface.ts";
import type { FlowFeatures } from "../tap/features.ts";
import { type PortRange, parsePorts } from "./catalog-entry.ts";

/** What a rule asks of a flow, all of it, and the persona it then gives. JSON. */
export interface PersonaRule {
  readonly persona: Persona;
  /** A device by hardware address (`aa:bb:cc:dd:ee:ff`) or IP address; null: any. */
  readonly device: string | null;
  /** A server's name and all below it; null: any. */
  readonly name: string | null;
  /** `tcp/443`, `udp/27000-27050`, of either side; null: any. */
  readonly port: string | null;
  /** What the flow was taken for; null: anything. */
  readonly service: Service | null;
}

/** A rule with the number by which it is deleted. */
export interface NumberedRule extends PersonaRule {
  readonly id: number;
}

/** A rule that is refused, or one that does not exist. */
export class PersonaRuleError extends Error {
  override readonly name = "PersonaRuleError";
  readonly code: "ERR_PERSONA_RULE" | "ERR_NO_PERSONA_RULE" | "ERR_PERSONA_RULES_FULL";

  constructor(code: PersonaRuleError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/;
const NAME = /^(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}$/;

const optional = <Schema extends z.ZodMiniType>(schema: Schema) =>
  z.prefault(z.nullable(schema), null);

const RULE_SCHEMA = z.strictObject(
  {
    persona: z.enum(PERSONAS, PERSONAS.join(", ")),
    device: optional(
      text("a hardware address such as 02:00:5e:10:00:01, or an IP address", isDevice),
    ),
    name: optional(
      text("a server's name in lower case, such as example.org", (value) => NAME.test(value)),
    ),
    port: optional(
      text("tcp/PORT, udp/PORT or a range, such as udp/27000-27050", (value) => {
        return parsePorts(value) !== null;
      }),
    ),
    service: optional(z.enum(SERVICES, SERVICES.join(", "))),
  },
  "an object with persona, and with device, name, port or service",
);

function isDevice(value: string): boolean {
  return MAC.test(value) || parseIpv4(value) !== null || parseIpv6(value) !== null;
}

interface ReadyRule {
  readonly rule: NumberedRule;
  readonly ports: PortRange | null;
  /** Conditions it has: the more, the earlier it is asked. */
  readonly conditions: number;
}

/** What a rule looks at. */
export type RuledFlow = Pick<
  FlowFeatures,
  "key" | "clientMac" | "serverName" | "dnsName" | "siblingName"
>;

export class PersonaRules {
  /** In the order they are asked. */
  #ready: ReadyRule[] = [];
  #nextId = 1;
  #revision = 0;

  /** Another one whenever the rules are others. */
  get revision(): number {
    return this.#revision;
  }

  /** Oldest first. */
  list(): NumberedRule[] {
    return this.#ready.map(({ rule }) => rule).sort((a, b) => a.id - b.id);
  }

  /**
   * Checks a rule and puts it in force.
   * @param value a `PersonaRule`; what is left out is null
   * @throws PersonaRuleError
   */
  add(value: unknown): NumberedRule {
    if (this.#ready.length >= PERSONA_RULES_MAX) {
      const message = `there are ${PERSONA_RULES_MAX} rules already, which is the most; delete one first`;
      throw new PersonaRuleError("ERR_PERSONA_RULES_FULL", message);
    }
    const rule = { id: this.#nextId, ...readRule(value) };
    this.#nextId += 1;
    this.#revision += 1;
    this.#put(rule);
    return rule;
  }

  /** @throws PersonaRuleError when there is no such rule */
  delete(id: number): NumberedRule {
    const found = this.#ready.find(({ rule }) => rule.id === id);
    if (found === undefined) {
      const message = `there is no rule ${id}; "myco persona list" shows them`;
      throw new PersonaRuleError("ERR_NO_PERSONA_RULE", message);
    }
    this.#ready = this.#ready.filter((each) => each !== found);
    this.#revision += 1;
    return found.rule;
  }

  /**
   * Takes the place of all rules: what `list` gave before a restart.
   * @throws PersonaRuleError, and nothing has changed
   */
  load(values: unknown): void {
    const isList = Array.isArray(values) && values.length <= PERSONA_RULES_MAX;
    if (!isList) {
      const allowed = `a list of at most ${PERSONA_RULES_MAX} rules`;
      throw new PersonaRuleError("ERR_PERSONA_RULE", foundAndAllowed(values, allowed));
    }
    const rules = values.map((value, index) => readNumbered(value, index + 1));
    this.#ready = [];
    this.#revision += 1;
    this.#nextId = 1 + Math.max(0, ...rules.map(({ id }) => id));
    for (const rule of rules) this.#put(rule);
  }

  /** The persona a rule gives to a flow, or null. @param service what the wire says it is */
  personaOf(flow: RuledFlow, service: Service): Persona | null {
    if (this.#ready.length === 0) return null;
    const found = this.#ready.find((ready) => applies(ready, flow, service));
    return found?.rule.persona ?? null;
  }

  #put(rule: NumberedRule): void {
    const { device, name, port, service } = rule;
    const conditions = [device, name, port, service].filter((each) => each !== null).length;
    this.#ready.push({ rule, ports: port === null ? null : parsePorts(port), conditions });
    // The most conditions first; of equals, the newest.
    this.#ready.sort((a, b) => b.conditions - a.conditions || b.rule.id - a.rule.id);
  }
}

function readRule(value: unknown): PersonaRule {
  const result = RULE_SCHEMA.safeParse(value);
  if (!result.success) {
    const problems = result.error.issues.flatMap((issue) =>
      explainIssue(RULE_SCHEMA, value, issue),
    );
    const lines = problems.map(({ path, message }) =>
      path.length === 0 ? message : `${formatPath(path)}: ${message}`,
    );
    throw new PersonaRuleError("ERR_PERSONA_RULE", lines.join("\n"));
  }
  const { device, name, port, service } = result.data;
  if (device === null && name === null && port === null && service === null) {
    const message = "a rule needs a device, a name, a port or a service to go by";
    throw new PersonaRuleError("ERR_PERSONA_RULE", message);
  }
  return { ...result.data, device: device === null ? null : canonicalDevice(device) };
}

function readNumbered(value: unknown, position: number): NumberedRule {
  const { id, ...rule } = (value ?? {}) as Record<string, unknown>;
  if (!Number.isSafeInteger(id) || (id as number) < 1) {
    const message = `rule ${position}: id: ${foundAndAllowed(id, "a whole number from 1")}`;
    throw new PersonaRuleError("ERR_PERSONA_RULE", message);
  }
  return { id: id as number, ...readRule(rule) };
}

function canonicalDevice(device: string): string {
  const bytes = MAC.test(device) ? null : parseIpv6(device);
  return bytes === null ? device : formatIpv6(bytes);
}

function applies({ rule, ports }: ReadyRule, flow: RuledFlow, service: Service): boolean {
  if (rule.service !== null && rule.service !== service) return false;
  if (ports !== null && !isOnPorts(ports, flow)) return false;
  if (rule.device !== null && !isDeviceOf(rule.device, flow)) return false;
  return rule.name === null || isNamed(rule.name, flow);
}

function isOnPorts({ protocol, first, last }: PortRange, { key }: RuledFlow): boolean {
  if (key.protocol !== protocol) return false;
  const holds = (port: number) => port >= first && port <= last;
  return holds(key.serverPort) || holds(key.clientPort);
}

/** Either side: a game's host or a server in the house is its own flow's server. */
function isDeviceOf(device: string, { key, clientMac }: RuledFlow): boolean {
  return device === clientMac || device === key.client || device === key.server;
}

/** The server's name that rules go by, or null. What a question for names asks for is none. */
export function shownName({
  serverName,
  dnsName,
  siblingName,
}: Pick<RuledFlow, "serverName" | "dnsName" | "siblingName">): string | null {
  return serverName ?? dnsName ?? siblingName;
}

function isNamed(name: string, flow: RuledFlow): boolean {
  const shown = shownName(flow);
  return shown !== null && (shown === name || shown.endsWith(`.${name}`));
}
