// How well flows are recognised, on captures with labels of their own: coverage, accuracy, F1 and
// the confusion matrices, in the terms that the captures' README defines, and flows a second.
//   npm run bench:persona [-- --captures DIR] [--only FILE[,FILE…]] [--wrong N] [--json]
// DIR holds labels.json and pcaps/. Ends with 1 when a goal is missed, with 2 when there is
// nothing to score.
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type FlowVerdict, SERVICES, type Service } from "../src/flow/interface.ts";
import { CaptureClassifier } from "../src/flow/persona/classify.ts";
import { shippedCatalog } from "../src/flow/persona/shipped-catalog.ts";
import { protocolName } from "../src/flow/persona/verdict-line.ts";
import { NodeQuicCrypto } from "../src/io/quic-crypto.ts";
import { canonicalEndpoint } from "../src/schema/endpoint.ts";
import { PERSONAS, type Persona } from "../src/schema/service.ts";

/** What must be reached on the given set. */
const GOALS = {
  coverage: 0.9,
  personaAccuracy: 0.9,
  personaAccuracyWithoutSystem: 0.85,
  personaMacroF1: 0.85,
};
const READ_BYTES = 256 * 1024;

interface Label {
  readonly proto: string;
  readonly src: string;
  readonly sport: number;
  readonly dst: string;
  readonly dport: number;
  readonly ndpi: string;
  readonly hostname?: string;
  readonly service: Service | null;
  readonly persona: Persona | null;
}

interface Labels {
  readonly captures: Readonly<Record<string, { readonly flows: readonly Label[] }>>;
}

/** One labelled flow and what was answered. */
interface Outcome {
  readonly capture: string;
  readonly label: Label;
  readonly wanted: { readonly service: Service; readonly persona: Persona };
  readonly got: Pick<FlowVerdict, "service" | "persona" | "confidence" | "signals">;
}

const UNANSWERED = { service: "unknown", persona: "unknown", confidence: 0, signals: [] } as const;

function main(): number {
  const { values } = parseArgs({
    options: {
      captures: { type: "string", default: "../shared/persona" },
      only: { type: "string" },
      wrong: { type: "string", default: "0" },
      json: { type: "boolean", default: false },
    },
  });
  const folder = resolve(values.captures);
  const labelsFile = join(folder, "labels.json");
  if (!existsSync(labelsFile)) {
    console.error(`there are no labelled captures in ${folder}: labels.json is missing`);
    console.error("name their folder: npm run bench:persona -- --captures DIR");
    return 2;
  }
  const labels = JSON.parse(readFileSync(labelsFile, "utf8")) as Labels;
  const names = values.only?.split(",") ?? Object.keys(labels.captures);
  const { outcomes, flows, seconds } = run(folder, labels, names);
  if (outcomes.length === 0) {
    console.error(`none of the labelled captures is in ${join(folder, "pcaps")}`);
    return 2;
  }
  const figures = figuresOf(outcomes);
  if (values.json) console.log(JSON.stringify({ ...figures, flows, seconds }, null, 1));
  else report(outcomes, figures, { flows, seconds, wrong: Number(values.wrong) });
  return reachesGoals(figures) ? 0 : 1;
}

function run(
  folder: string,
  labels: Labels,
  names: readonly string[],
): { outcomes: Outcome[]; flows: number; seconds: number } {
  const catalog = shippedCatalog();
  const crypto = new NodeQuicCrypto();
  const outcomes: Outcome[] = [];
  let flows = 0;
  let busyMs = 0;
  for (const name of names) {
    const file = join(folder, "pcaps", name);
    const wanted = (labels.captures[name]?.flows ?? []).filter(({ service }) => service !== null);
    if (wanted.length === 0 || !existsSync(file)) continue;
    const capture = readFileSync(file);
    const verdicts = new Map<string, FlowVerdict>();
    const startMs = performance.now();
    const classifier = new CaptureClassifier({
      catalog,
      crypto,
      onVerdict: (verdict) => verdicts.set(verdictKey(verdict), verdict),
    });
    for (let at = 0; at < capture.length; at += READ_BYTES) {
      classifier.push(capture.subarray(at, at + READ_BYTES));
    }
    classifier.finish();
    busyMs += performance.now() - startMs;
    flows += classifier.counts.flows;
    for (const label of wanted) outcomes.push(outcomeOf(name, label, verdicts));
  }
  return { outcomes, flows, seconds: busyMs / 1000 };
}

function outcomeOf(
  capture: string,
  label: Label,
  verdicts: ReadonlyMap<string, FlowVerdict>,
): Outcome {
  const { proto, src, sport, dst, dport } = label;
  const got = verdicts.get(flowKey(proto, src, sport, dst, dport)) ?? UNANSWERED;
  return { capture, label, wanted: { service: label.service!, persona: label.persona! }, got };
}

function verdictKey({ key }: FlowVerdict): string {
  const { protocol, client, clientPort, server, serverPort } = key;
  return flowKey(protocolName(protocol), client, clientPort, server, serverPort);
}

/** The same for both directions, and for any spelling of an address. */
function flowKey(proto: string, a: string, aPort: number, b: string, bPort: number): string {
  return [proto, ...[endpoint(a, aPort), endpoint(b, bPort)].sort()].join(" ");
}

function endpoint(address: string, port: number): string {
  const text = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  return canonicalEndpoint(text) ?? text;
}

interface ClassFigures {
  readonly name: string;
  readonly flows: number;
  readonly answers: number;
  readonly right: number;
  readonly f1: number;
}

interface Figures {
  readonly captures: number;
  readonly labelled: number;
  readonly coverage: number;
  readonly serviceAccuracy: number;
  readonly personaAccuracy: number;
  readonly serviceAccuracyWithoutSystem: number;
  readonly personaAccuracyWithoutSystem: number;
  readonly serviceMacroF1: number;
  readonly personaMacroF1: number;
  readonly personaMeanOverCaptures: number;
  readonly services: readonly ClassFigures[];
  readonly personas: readonly ClassFigures[];
}

function figuresOf(outcomes: readonly Outcome[]): Figures {
  const withoutSystem = outcomes.filter(({ wanted }) => wanted.service !== "system");
  const services = classFigures(outcomes, "service", SERVICES);
  const personas = classFigures(outcomes, "persona", PERSONAS);
  const captures = [...new Set(outcomes.map(({ capture }) => capture))];
  return {
    captures: captures.length,
    labelled: outcomes.length,
    coverage: share(outcomes, ({ got }) => got.service !== "unknown"),
    serviceAccuracy: accuracy(outcomes, "service"),
    personaAccuracy: accuracy(outcomes, "persona"),
    serviceAccuracyWithoutSystem: accuracy(withoutSystem, "service"),
    personaAccuracyWithoutSystem: accuracy(withoutSystem, "persona"),
    serviceMacroF1: macroF1(services),
    personaMacroF1: macroF1(personas),
    personaMeanOverCaptures: mean(
      captures.map((name) =>
        accuracy(
          outcomes.filter(({ capture }) => capture === name),
          "persona",
        ),
      ),
    ),
    services,
    personas,
  };
}

function accuracy(outcomes: readonly Outcome[], by: "service" | "persona"): number {
  return share(outcomes, ({ wanted, got }) => wanted[by] === got[by]);
}

function share(outcomes: readonly Outcome[], holds: (outcome: Outcome) => boolean): number {
  return outcomes.length === 0 ? 0 : outcomes.filter(holds).length / outcomes.length;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function classFigures(
  outcomes: readonly Outcome[],
  by: "service" | "persona",
  names: readonly string[],
): ClassFigures[] {
  return names
    .map((name) => {
      const flows = outcomes.filter(({ wanted }) => wanted[by] === name).length;
      const answers = outcomes.filter(({ got }) => got[by] === name).length;
      const right = outcomes.filter(
        ({ wanted, got }) => wanted[by] === name && got[by] === name,
      ).length;
      return { name, flows, answers, right, f1: flows === 0 ? 0 : (2 * right) / (flows + answers) };
    })
    .filter(({ name, flows, answers }) => name !== "unknown" && flows + answers > 0);
}

/** Over the classes that occur, with equal weight. */
function macroF1(classes: readonly ClassFigures[]): number {
  return mean(classes.filter(({ flows }) => flows > 0).map(({ f1 }) => f1));
}

function reachesGoals(figures: Figures): boolean {
  return Object.entries(GOALS).every(([name, goal]) => figures[name as keyof typeof GOALS] >= goal);
}

function report(
  outcomes: readonly Outcome[],
  figures: Figures,
  { flows, seconds, wrong }: { flows: number; seconds: number; wrong: number },
): void {
  console.log(`${figures.labelled} labelled flows in ${figures.captures} captures`);
  row("coverage", figures.coverage, GOALS.coverage);
  row("service accuracy", figures.serviceAccuracy);
  row("persona accuracy", figures.personaAccuracy, GOALS.personaAccuracy);
  row("service, without system", figures.serviceAccuracyWithoutSystem);
  const withoutSystem = figures.personaAccuracyWithoutSystem;
  row("persona, without system", withoutSystem, GOALS.personaAccuracyWithoutSystem);
  row("service macro-F1", figures.serviceMacroF1);
  row("persona macro-F1", figures.personaMacroF1, GOALS.personaMacroF1);
  row("persona, mean of captures", figures.personaMeanOverCaptures);
  classTable("service", figures.services);
  classTable("persona", figures.personas);
  confusion(outcomes, "service", SERVICES);
  confusion(outcomes, "persona", PERSONAS);
  console.log(
    `\n${flows} flows in ${seconds.toFixed(2)} s: ${(flows / seconds).toFixed(0)} a second`,
  );
  const missed = outcomes.filter(({ wanted, got }) => wanted.service !== got.service);
  for (const outcome of missed.slice(0, wrong)) console.log(describe(outcome));
}

function row(name: string, value: number, goal?: number): void {
  const wanted =
    goal === undefined ? "" : `   goal ${percent(goal)}${value < goal ? ": MISSED" : ""}`;
  console.log(`${name.padEnd(26)}${percent(value).padStart(8)}${wanted}`);
}

function percent(value: number): string {
  return `${(100 * value).toFixed(1)} %`;
}

function classTable(title: string, classes: readonly ClassFigures[]): void {
  const heads = ["flows", "answers", "right", "F1"].map((head) => head.padStart(9)).join("");
  console.log(`\n${title.padEnd(18)}${heads}`);
  for (const { name, flows, answers, right, f1 } of classes) {
    const cells = [flows, answers, right, percent(f1)].map((cell) => String(cell).padStart(9));
    console.log(name.padEnd(18) + cells.join(""));
  }
}

/** Rows: the label. Columns: the answer, by number. */
function confusion(
  outcomes: readonly Outcome[],
  by: "service" | "persona",
  names: readonly string[],
): void {
  const used = names.filter((name) =>
    outcomes.some(({ wanted, got }) => wanted[by] === name || got[by] === name),
  );
  console.log(`\n${by}: rows are the label, columns the answer`);
  const numbers = used.map((_, index) => String(index + 1).padStart(5)).join("");
  console.log(`${"".padEnd(22)}${numbers}`);
  for (const [index, name] of used.entries()) {
    const cells = used.map((answer) => {
      const count = outcomes.filter(
        ({ wanted, got }) => wanted[by] === name && got[by] === answer,
      ).length;
      return (count === 0 ? "." : String(count)).padStart(5);
    });
    console.log(`${String(index + 1).padStart(3)} ${name.padEnd(18)}${cells.join("")}`);
  }
}

function describe({ capture, label, wanted, got }: Outcome): string {
  const { proto, src, sport, dst, dport, ndpi, hostname } = label;
  const flow = `${proto} ${src}:${sport} ${dst}:${dport}`;
  const spoke = `${got.service} (${got.confidence} by ${got.signals.join(", ") || "nothing"})`;
  return `${capture}: ${flow} ${ndpi} ${hostname ?? ""}: wanted ${wanted.service}, got ${spoke}`;
}

process.exitCode = main();
