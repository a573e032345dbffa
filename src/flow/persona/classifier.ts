// Features → service → persona. Every sign gives evidence with a confidence of its own; the
// strongest decides, those that agree add to it, and rules and declarations stand above all.

import type { Persona } from "../../schema/service.ts";
import { type FlowVerdict, PERSONA_OF_SERVICE, type Service, type Signal } from "../interface.ts";
import type { FlowFeatures } from "../tap/features.ts";
import { carriesPictures, guessByBehaviour } from "./behaviour.ts";
import type { Catalog, CatalogHit } from "./catalog.ts";
import { alpnMeaning, contentMeaning, targetMeaning } from "./http-signs.ts";
import { payloadMeaning } from "./payload-matcher.ts";
import type { PersonaRules } from "./rules.ts";

const TCP = 6;
const UDP = 17;
const RULE_CONFIDENCE = 1;
const DECLARED_CONFIDENCE = 0.98;
/** How far an entry's trust carries when the sign is not the name the flow itself was asked for by. */
const TRUST = {
  certificate: 0.9,
  dns: 0.85,
  sibling: 0.75,
  agent: 0.85,
  network: 0.7,
  port: 0.6,
  clientPort: 0.5,
} as const;
/** A name nothing in the catalogue claims is a site somebody visits, more or less. */
const UNKNOWN_NAME_CONFIDENCE = 0.5;
const UNKNOWN_DNS_NAME_CONFIDENCE = 0.3;
/** ECH shows the front's name, which many sites share. */
const FRONT_NAME_TRUST = 0.5;
/** A protocol of the web whose flow shows no name at all. */
const NAMELESS_CONFIDENCE = { quic: 0.4, http: 0.35, tls: 0.2 } as const;
/** IANA's system ports (RFC 6335), where the catalogue knows none. */
const SYSTEM_PORTS_END = 1_024;
const SYSTEM_PORT_CONFIDENCE = 0.25;
const DNS_CONFIDENCE = 0.97;
const WEB_PORTS = [80, 443, 8080, 8443];

/** IP protocols that only machines speak: ICMP, IGMP, IGRP, EGP, RSVP, EIGRP, OSPF, PIM, VRRP, SCTP, … (IANA). */
const SYSTEM_PROTOCOLS = new Set([0, 1, 2, 3, 8, 9, 46, 58, 60, 88, 89, 103, 112, 113, 124, 132]);

/** The persona that a service of the mesh declares for a server's address and port. */
export interface DeclaredServices {
  /** Null: nothing is declared there. */
  personaAt(protocol: number, address: string, port: number): Persona | null;
}

export const NOTHING_DECLARED: DeclaredServices = { personaAt: () => null };

interface Evidence {
  readonly signal: Signal;
  readonly service: Service;
  readonly confidence: number;
}

export interface ClassifierOptions {
  readonly catalog: Catalog;
  readonly rules: PersonaRules;
  readonly declared: DeclaredServices;
}

export class Classifier {
  readonly #catalog: Catalog;
  readonly #rules: PersonaRules;
  readonly #declared: DeclaredServices;

  constructor({ catalog, rules, declared }: ClassifierOptions) {
    this.#catalog = catalog;
    this.#rules = rules;
    this.#declared = declared;
  }

  /** What the flow is, as far as it has shown. Keeps nothing of `flow`. */
  classify(flow: FlowFeatures): FlowVerdict {
    const { service, confidence, signals } = weigh(this.#gather(flow), flow);
    const verdict = {
      key: { ...flow.key },
      service,
      persona: PERSONA_OF_SERVICE[service],
      confidence,
      signals,
      hostname: hostnameOf(flow),
    };
    return this.#overrule(verdict, flow);
  }

  /** A rule or a declaration says the persona; the service stays what the wire tells. */
  #overrule(verdict: FlowVerdict, flow: FlowFeatures): FlowVerdict {
    const ruled = this.#rules.personaOf(flow, verdict.service);
    if (ruled !== null) return byRule(verdict, ruled);
    const { protocol, client, clientPort, server, serverPort } = verdict.key;
    const declared =
      this.#declared.personaAt(protocol, server, serverPort) ??
      this.#declared.personaAt(protocol, client, clientPort);
    if (declared === null) return verdict;
    return overruled(verdict, declared, "declared", DECLARED_CONFIDENCE);
  }

  #gather(flow: FlowFeatures): Evidence[] {
    const { protocol } = flow.key;
    if (protocol !== TCP && protocol !== UDP) {
      const isSystem = SYSTEM_PROTOCOLS.has(protocol);
      return isSystem ? [{ signal: "port", service: "system", confidence: 0.95 }] : [];
    }
    if (flow.application === "dns") {
      return [{ signal: "payload", service: "system", confidence: DNS_CONFIDENCE }];
    }
    const evidence: Evidence[] = [];
    this.#addNames(flow, evidence);
    const { client, server } = flow.key;
    const network = this.#catalog.byAddress(server) ?? this.#catalog.byAddress(client);
    this.#addPayload(flow, network, evidence);
    this.#addPlace(flow, network, evidence);
    const guess = guessByBehaviour(flow);
    if (guess !== null) evidence.push({ signal: "behaviour", ...guess });
    return evidence;
  }

  /** The name asked for, and what TLS and HTTP say beside it. */
  #addNames(flow: FlowFeatures, evidence: Evidence[]): void {
    const { serverName, serverNameSource, certificateName, userAgent, dnsName, siblingName } = flow;
    const source = serverNameSource ?? flow.application;
    const signal: Signal = source === "quic" || source === "http" ? source : "tls";
    if (serverName !== null) {
      const trust = flow.encryptedClientHello ? FRONT_NAME_TRUST : 1;
      evidence.push(this.#nameEvidence(signal, serverName, trust, flow));
    } else if (certificateName !== null) {
      const hit = this.#catalog.byCertificate(certificateName);
      if (hit !== null) evidence.push(fromHit(signal, hit, TRUST.certificate));
      else evidence.push(this.#nameEvidence(signal, certificateName, TRUST.certificate, flow));
    }
    if (flow.application !== null && flow.application !== "dns") {
      const confidence = NAMELESS_CONFIDENCE[flow.application];
      if (serverName === null) evidence.push({ signal, service: "web_interactive", confidence });
    }
    const alpn = alpnMeaning(flow.alpn);
    if (alpn !== null) evidence.push({ signal, ...alpn });
    const agent = userAgent === null ? null : this.#catalog.byAgent(userAgent);
    if (agent !== null) evidence.push(fromHit("http", agent, TRUST.agent));
    for (const meaning of [contentMeaning(flow.contentType), targetMeaning(flow.httpTarget)]) {
      if (meaning !== null) evidence.push({ signal: "http", ...meaning });
    }
    if (dnsName !== null) this.#addAddressName("dns", dnsName, TRUST.dns, flow, evidence);
    else if (siblingName !== null) {
      this.#addAddressName("address", siblingName, TRUST.sibling, flow, evidence);
    }
  }

  #nameEvidence(signal: Signal, name: string, trust: number, flow: FlowFeatures): Evidence {
    const hit = this.#catalog.byName(name);
    if (hit !== null) return fromHit(signal, hit, trust);
    const isWebPort = WEB_PORTS.includes(flow.key.serverPort);
    const confidence = UNKNOWN_NAME_CONFIDENCE * trust * (isWebPort ? 1 : 0.7);
    return { signal, service: "web_interactive", confidence };
  }

  /** A name that the server's address goes by: other flows may share it. */
  #addAddressName(
    signal: Signal,
    name: string,
    trust: number,
    flow: FlowFeatures,
    evidence: Evidence[],
  ): void {
    const hit = this.#catalog.byName(name);
    if (hit !== null) evidence.push(fromHit(signal, forTransport(hit, flow), trust));
    else if (flow.key.protocol === TCP || flow.application === "quic") {
      evidence.push({
        signal,
        service: "web_interactive",
        confidence: UNKNOWN_DNS_NAME_CONFIDENCE,
      });
    }
  }

  #addPayload(flow: FlowFeatures, network: CatalogHit | null, evidence: Evidence[]): void {
    const { payload, key } = flow;
    const meaning = payload === null ? null : payloadMeaning(key.protocol, payload);
    if (meaning === null) return;
    const vendor = meaning.isMedia ? this.#mediaVendor(flow, network) : null;
    if (vendor !== null) evidence.push(vendor);
    const isOthers = vendor !== null && vendor.service !== meaning.service;
    const { service } = meaning;
    const confidence = isOthers ? meaning.confidence / 2 : meaning.confidence;
    evidence.push({ signal: "payload", service, confidence });
  }

  /** Whose media it is, by the names and the network. */
  #mediaVendor(
    { serverName, dnsName, siblingName }: FlowFeatures,
    network: CatalogHit | null,
  ): Evidence | null {
    for (const name of [serverName, dnsName, siblingName]) {
      const hit = name === null ? null : this.#catalog.byName(name);
      if (hit?.realtime) return { signal: "payload", service: hit.realtime, confidence: 0.85 };
    }
    const service = network?.realtime ?? null;
    return service === null ? null : { signal: "payload", service, confidence: 0.8 };
  }

  /** Ports and networks. */
  #addPlace(flow: FlowFeatures, network: CatalogHit | null, evidence: Evidence[]): void {
    const { protocol, clientPort, serverPort } = flow.key;
    const port = this.#catalog.byPort(protocol, serverPort);
    if (port !== null) evidence.push(fromHit("port", forTransport(port, flow), TRUST.port));
    else if (serverPort < SYSTEM_PORTS_END && serverPort !== 443) {
      evidence.push({ signal: "port", service: "system", confidence: SYSTEM_PORT_CONFIDENCE });
    }
    const otherPort = this.#catalog.byPort(protocol, clientPort);
    if (otherPort !== null) {
      evidence.push(fromHit("port", forTransport(otherPort, flow), TRUST.clientPort));
    }
    if (network !== null) {
      evidence.push(fromHit("address", forTransport(network, flow), TRUST.network));
    }
  }
}

function fromHit(signal: Signal, hit: CatalogHit, trust: number): Evidence {
  return { signal, service: hit.service, confidence: hit.confidence * trust };
}

/** UDP that is no QUIC carries a company's calls or play, not its pages. */
function forTransport(hit: CatalogHit, { key, application }: FlowFeatures): CatalogHit {
  const isMedia = key.protocol === UDP && application !== "quic" && hit.realtime !== null;
  return isMedia ? { ...hit, service: hit.realtime! } : hit;
}

/** The verdict as a rule has it, whatever said its persona before. */
export function byRule(verdict: FlowVerdict, persona: Persona): FlowVerdict {
  const signals = verdict.signals.filter((signal) => signal !== "rule");
  return overruled({ ...verdict, signals }, persona, "rule", RULE_CONFIDENCE);
}

function overruled(
  verdict: FlowVerdict,
  persona: Persona,
  signal: Signal,
  confidence: number,
): FlowVerdict {
  return { ...verdict, persona, confidence, signals: [signal, ...verdict.signals] };
}

/** The strongest evidence decides; each other one for the same service takes away some doubt. */
function weigh(
  evidence: readonly Evidence[],
  flow: FlowFeatures,
): { service: Service; confidence: number; signals: Signal[] } {
  const best = evidence.reduce<Evidence | null>(
    (found, each) => (found === null || each.confidence > found.confidence ? each : found),
    null,
  );
  if (best === null || best.service === "unknown") {
    return { service: "unknown", confidence: 0, signals: [] };
  }
  const agreeing = evidence
    .filter(({ service }) => service === best.service)
    .sort((a, b) => b.confidence - a.confidence);
  const doubt = agreeing.reduce((product, { confidence }) => product * (1 - confidence), 1);
  const signals = [...new Set(agreeing.map(({ signal }) => signal))];
  const isVideoCall = best.service === "voip_call" && carriesPictures(flow);
  return {
    service: isVideoCall ? "video_conf" : best.service,
    confidence: round(1 - doubt),
    signals,
  };
}

/** Two digits are as much as a confidence means. */
function round(confidence: number): number {
  return Math.round(Math.min(confidence, 0.99) * 100) / 100;
}

function hostnameOf(flow: FlowFeatures): string | null {
  if (flow.application === "dns") return flow.dnsQuestion;
  return flow.serverName ?? flow.certificateName ?? flow.dnsName ?? flow.siblingName;
}
