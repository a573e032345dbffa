// Who is on the line and what for: the tap's flows are recognised, marked for their tins, counted by
// the connection table, and told by flow and by device.

import { RECOGNISED_FLOWS_MAX, TAP_IDLE_MS } from "../kernel/limits.ts";
import type { Random } from "../kernel/ports.ts";
import type { FlowSettings } from "../schema/flow-settings.ts";
import { Marks } from "./act/marks.ts";
import { DSCP, type DscpName, dscpOfPersona, dscpOfTin } from "./act/policy.ts";
import { connectionText, otherSide } from "./flow-key.ts";
import type { FlowKey, FlowVerdict } from "./interface.ts";
import { LiveTap, type TapSource } from "./live-tap.ts";
import type { Catalog } from "./persona/catalog.ts";
import { byRule, type DeclaredServices } from "./persona/classifier.ts";
import { DevicePersonas } from "./persona/device.ts";
import { FlowRecognizer } from "./persona/recognizer.ts";
import { type PersonaRules, shownName } from "./persona/rules.ts";
import { loadCatalog } from "./persona/shipped-catalog.ts";
import type { Children, LoopClock, QuicCrypto, SystemFiles } from "./ports.ts";
import { ConntrackTable } from "./sense/conntrack.ts";
import type { ProbeTarget } from "./sense/pinger.ts";
import type { DeviceReport, FlowNotice, FlowReport } from "./status.ts";
import type { FlowFeatures, FlowNews } from "./tap/features.ts";

export interface RecognitionPorts {
  readonly clock: LoopClock;
  readonly random: Random;
  readonly children: Children;
  readonly files: SystemFiles;
  readonly quicCrypto: QuicCrypto;
}

export interface RecognitionOptions {
  readonly settings: FlowSettings;
  readonly device: string;
  readonly rules: PersonaRules;
  readonly declared: DeclaredServices;
  readonly onNotice: (notice: FlowNotice) => void;
}

interface RecognisedFlow {
  key: FlowKey;
  /** The connection table told who asked; the tap may have guessed. */
  isKeySure: boolean;
  verdict: FlowVerdict;
  dscp: DscpName;
  /** Its device's hardware address, or null. */
  mac: string | null;
  /** Its server's name, as rules go by it, or null. */
  serverName: string | null;
  uploadBytes: number;
  downloadBytes: number;
  /** Counted to its device's persona. */
  countedBytes: number;
  lastSeenMs: number;
}

/** Whether the kernel counts the packets of connections, without which none is a first one. */
const CONNTRACK_ACCOUNTING_FILE = "/proc/sys/net/netfilter/nf_conntrack_acct";

export class Recognition {
  readonly #ports: RecognitionPorts;
  readonly #options: RecognitionOptions;
  readonly #catalog: Catalog;
  readonly #conntrack: ConntrackTable;
  readonly #devices = new DevicePersonas();
  /** By connection, the longest silent first. */
  readonly #flows = new Map<string, RecognisedFlow>();
  /** Null in shadow mode, which marks nothing. */
  readonly #marks: Marks | null;
  #settings: FlowSettings;
  #recognizer: FlowRecognizer;
  #tap: LiveTap | null = null;
  #conntrackWasMissing = false;
  /** Of the rules that all flows were held against. */
  #rulesRevision = 0;

  constructor(ports: RecognitionPorts, options: RecognitionOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#settings = options.settings;
    this.#catalog = this.#loadCatalog();
    this.#recognizer = this.#newRecognizer();
    this.#conntrack = new ConntrackTable(ports.files);
    this.#marks = options.settings.mode === "active" ? this.#newMarks() : null;
    if (this.#marks === null) this.#tapWithout("nothing is put into the kernel in shadow mode");
  }

  get flowCount(): number {
    return this.#flows.size;
  }

  get markedFlowCount(): number {
    return this.#marks?.size ?? 0;
  }

  setProbes(targets: readonly ProbeTarget[]): void {
    this.#marks?.setProbes(targets.map(({ reflector, tin }) => [reflector, dscpOfTin(tin)]));
  }

  tick(nowMs: number): void {
    if (this.#options.rules.revision !== this.#rulesRevision) this.#holdAgainstRules(nowMs);
    this.#marks?.tick(nowMs);
    this.#tap?.tick(nowMs);
    if (this.#conntrack.tick(nowMs)) this.#count(nowMs);
    else if (this.#conntrack.state === "missing") this.#dropSilent(nowMs);
  }

  /** Takes a new policy. Other settings of personas need another Recognition. */
  reconfigure(settings: FlowSettings): void {
    this.#settings = settings;
    const nowMs = this.#ports.clock.nowMs();
    for (const flow of this.#flows.values()) this.#mark(flow, nowMs);
  }

  /** @returns what could not be taken away, for people; null: all is */
  async stop(): Promise<string | null> {
    this.#tap?.stop();
    this.#conntrack.close();
    return (await this.#marks?.remove()) ?? null;
  }

  /** The busiest first. */
  flows(limit: number): readonly FlowReport[] {
    return [...this.#flows.values()]
      .sort((a, b) => bytesOf(b) - bytesOf(a))
      .slice(0, Math.max(0, limit))
      .map(({ key, verdict, dscp, uploadBytes, downloadBytes, lastSeenMs }) => ({
        ...verdict,
        ...{ key, dscp: DSCP[dscp], uploadBytes, downloadBytes, lastSeenMs },
      }));
  }

  devices(): readonly DeviceReport[] {
    const nowMs = this.#ports.clock.nowMs();
    const reports = new Map<string, DeviceReport>();
    for (const flow of this.#flows.values()) {
      const { client } = flow.key;
      const before = reports.get(client);
      reports.set(client, {
        address: client,
        mac: flow.mac ?? before?.mac ?? null,
        persona: this.#devices.personaOf(deviceOf(flow), nowMs),
        flowCount: (before?.flowCount ?? 0) + 1,
        uploadBytes: (before?.uploadBytes ?? 0) + flow.uploadBytes,
        downloadBytes: (before?.downloadBytes ?? 0) + flow.downloadBytes,
      });
    }
    return [...reports.values()];
  }

  #loadCatalog(): Catalog {
    const { catalog, refused } = loadCatalog(this.#ports.files, this.#settings.persona.catalogDir);
    for (const { file, message } of refused) {
      this.#tell("error", "catalog-refused", `${file} is left out: ${message}`);
    }
    return catalog;
  }

  #newRecognizer(): FlowRecognizer {
    const { rules, declared } = this.#options;
    return new FlowRecognizer({ catalog: this.#catalog, rules, declared });
  }

  #newMarks(): Marks {
    const { children, random, files } = this.#ports;
    const { device, onNotice } = this.#options;
    const { tap } = this.#settings.persona;
    return new Marks({
      ...{ children, random, onNotice, device },
      wantsTap: tap === "auto" || tap === "nflog",
      onInstalled: (taps) => {
        files.writeText(CONNTRACK_ACCOUNTING_FILE, "1\n");
        if (taps) this.#tapBy({ kind: "nflog" });
        else this.#tapWithout("the kernel does not hand over first packets");
      },
    });
  }

  /** @param reason why first packets do not come by nflog, for people */
  #tapWithout(reason: string): void {
    const { tap } = this.#settings.persona;
    if (tap === "off") return;
    if (tap === "nflog") {
      this.#tell("warn", "no-tap", `No flow is recognised by nflog: ${reason}`);
      return;
    }
    this.#tapBy({ kind: "pcap", device: this.#options.device });
  }

  #tapBy(source: TapSource): void {
    if (this.#tap !== null) return;
    const { children, clock, random, quicCrypto } = this.#ports;
    this.#tap = new LiveTap(source, {
      ...{ children, clock, random, crypto: quicCrypto },
      onBegin: () => {
        this.#recognizer = this.#newRecognizer();
        const onFlow = (flow: FlowFeatures, news: FlowNews): void => this.#hear(flow, news);
        return { matcher: this.#recognizer.matcher, onFlow };
      },
      onState: (alive, reason) => this.#tell(alive ? "info" : "warn", "tap", reason),
    });
  }

  #hear(features: FlowFeatures, news: FlowNews): void {
    const verdict = this.#recognizer.hear(features, news);
    if (verdict === null) return;
    const nowMs = this.#ports.clock.nowMs();
    const flow = this.#take(verdict);
    flow.mac = features.clientMac ?? flow.mac;
    flow.serverName = shownName(features);
    const isNew = flow.verdict !== verdict || flow.lastSeenMs === 0;
    flow.verdict = verdict;
    flow.lastSeenMs = nowMs;
    if (!flow.isKeySure) flow.key = verdict.key;
    const isOtherSide = flow.key.client !== verdict.key.client;
    const [upload, download] = isOtherSide
      ? [features.fromServer.bytes, features.fromClient.bytes]
      : [features.fromClient.bytes, features.fromServer.bytes];
    this.#carried(flow, upload, download, nowMs);
    if (isNew) this.#mark(flow, nowMs);
  }

  /** The flow's place in the table, as the latest. */
  #take(verdict: FlowVerdict): RecognisedFlow {
    const text = connectionText(verdict.key);
    const known = this.#flows.get(text);
    if (known !== undefined) this.#flows.delete(text);
    else if (this.#flows.size >= RECOGNISED_FLOWS_MAX) {
      const [silent] = this.#flows.keys();
      this.#flows.delete(silent!);
    }
    const flow = known ?? newFlow(verdict);
    this.#flows.set(text, flow);
    return flow;
  }

  #mark(flow: RecognisedFlow, nowMs: number): void {
    flow.dscp = dscpOfPersona(flow.verdict.persona, this.#settings.persona.treatment);
    this.#marks?.set(flow.key, flow.dscp, nowMs);
  }

  /** A new rule counts at once for flows that are known: of a long one no packet may be heard again. */
  #holdAgainstRules(nowMs: number): void {
    const { rules } = this.#options;
    this.#rulesRevision = rules.revision;
    for (const flow of this.#flows.values()) {
      const { key, mac: clientMac, serverName, verdict } = flow;
      const shown = { key, clientMac, serverName, dnsName: null, siblingName: null };
      const persona = rules.personaOf(shown, verdict.service);
      if (persona === null) continue;
      flow.verdict = byRule(verdict, persona);
      this.#mark(flow, nowMs);
    }
  }

  /** The connection table has been read whole. */
  #count(nowMs: number): void {
    for (const [text, flow] of this.#flows) {
      const connection = this.#conntrack.get(flow.key) ?? this.#conntrack.get(otherSide(flow.key));
      if (connection === undefined) {
        if (nowMs - flow.lastSeenMs > UNLISTED_MS_MAX) this.#flows.delete(text);
        continue;
      }
      flow.key = connection.key;
      flow.isKeySure = true;
      const { uploadBytes, downloadBytes } = connection.counts;
      flow.lastSeenMs = Math.max(flow.lastSeenMs, connection.activeAtMs);
      this.#carried(flow, uploadBytes, downloadBytes, nowMs);
    }
  }

  #carried(flow: RecognisedFlow, upload: number, download: number, nowMs: number): void {
    // The tap sees the first packets only, and the kernel may not count.
    flow.uploadBytes = Math.max(flow.uploadBytes, upload);
    flow.downloadBytes = Math.max(flow.downloadBytes, download);
    const newBytes = bytesOf(flow) - flow.countedBytes;
    flow.countedBytes += newBytes;
    if (newBytes > 0) {
      this.#devices.observe(deviceOf(flow), flow.verdict.persona, newBytes, nowMs);
    }
  }

  /** Without the kernel's table nobody tells when a flow ended. */
  #dropSilent(nowMs: number): void {
    if (!this.#conntrackWasMissing) {
      this.#tell(
        "info",
        "no-conntrack",
        "The kernel shows no table of connections: flows' bytes are those of their first packets",
      );
    }
    this.#conntrackWasMissing = true;
    for (const [text, flow] of this.#flows) {
      if (nowMs - flow.lastSeenMs < TAP_IDLE_MS) return;
      this.#flows.delete(text);
    }
  }

  #tell(level: FlowNotice["level"], code: string, message: string): void {
    this.#options.onNotice({ level, code, message });
  }
}

/** A flow may be younger than the reading under way. */
const UNLISTED_MS_MAX = 30_000;

function newFlow(verdict: FlowVerdict): RecognisedFlow {
  return {
    key: verdict.key,
    isKeySure: false,
    verdict,
    dscp: "cs0",
    mac: null,
    serverName: null,
    uploadBytes: 0,
    downloadBytes: 0,
    countedBytes: 0,
    // Not heard of yet.
    lastSeenMs: 0,
  };
}

function bytesOf({ uploadBytes, downloadBytes }: RecognisedFlow): number {
  return uploadBytes + downloadBytes;
}

function deviceOf({ mac, key }: RecognisedFlow): string {
  return mac ?? key.client;
}
