// `myco flow classify`: what the flows of a capture are for. The daemon's own code; no daemon
// is needed.

import { createReadStream, statSync } from "node:fs";
import { resolve } from "node:path";
import type { Catalog } from "../../flow/persona/catalog.ts";
import type { CaptureClassifier } from "../../flow/persona/classify.ts";
import { CommandError } from "../command-error.ts";
import { EXIT } from "../exit-codes.ts";
import type { AddCommand, Session } from "../session.ts";

/** Where the daemon looks for more of the catalogue when nothing else is configured. */
const CATALOG_FOLDER = "/etc/mycoflow/catalog.d";
const STANDARD_INPUT = "-";

const HELP = `
Prints one line of JSON for each flow, when it has ended: proto, src, sport, dst, dport,
service, persona, confidence (0 to 1), signals (what spoke for it) and hostname.

Examples:
  $ myco flow classify evening.pcapng
  $ tcpdump -i br-lan -w - | myco flow classify -
  $ myco flow classify a.pcap b.pcap | grep '"persona":"gaming"'`;

export const addClassifyCommand: AddCommand = (parent, session, run) => {
  parent
    .command("classify")
    .description("tell what the flows of a capture are for")
    .argument("<file...>", 'captures (pcap or pcapng); "-" for standard input')
    .option("--catalog <dir>", `a folder of catalogue files, in place of ${CATALOG_FOLDER}`)
    .addHelpText("after", HELP)
    .action(
      run(async (files: readonly string[], options: { catalog?: string }) => {
        const catalog = await loadCatalogFor(session, options.catalog);
        for (const file of files) await classifyFile(session, catalog, file);
        return EXIT.ok;
      }),
    );
};

/** Says which files of the folder are left out, and why. */
async function loadCatalogFor(session: Session, named: string | undefined): Promise<Catalog> {
  const { loadCatalog } = await import("../../flow/persona/shipped-catalog.ts");
  const { RealSystemFiles } = await import("../../io/system-files.ts");
  const folder = resolve(session.world.cwd, named ?? CATALOG_FOLDER);
  if (named !== undefined && !isFolder(folder)) {
    throw new CommandError(EXIT.notFound, `there is no folder ${folder}`);
  }
  const { catalog, refused } = loadCatalog(new RealSystemFiles(), folder);
  for (const { file, message } of refused) {
    session.presenter.remark(`${file} is left out:\n${message}`);
  }
  return catalog;
}

async function classifyFile(session: Session, catalog: Catalog, file: string): Promise<void> {
  const { CaptureClassifier } = await import("../../flow/persona/classify.ts");
  const { formatVerdict } = await import("../../flow/persona/verdict-line.ts");
  const { NodeQuicCrypto } = await import("../../io/quic-crypto.ts");
  const classifier = new CaptureClassifier({
    catalog,
    crypto: new NodeQuicCrypto(),
    onVerdict: (verdict) => session.presenter.line(formatVerdict(verdict)),
  });
  for await (const bytes of open(session, file)) {
    classifier.push(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes);
  }
  finish(session, classifier, file);
}

function open(session: Session, file: string): AsyncIterable<Uint8Array | string> {
  if (file === STANDARD_INPUT) return session.world.stdin;
  const path = resolve(session.world.cwd, file);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw new CommandError(EXIT.notFound, `there is no ${path}`);
  if (found.isDirectory()) {
    const hint = `name its files: myco flow classify ${file}/*.pcap`;
    throw new CommandError(EXIT.usage, `${path} is a folder`, hint);
  }
  return createReadStream(path);
}

/** A capture that was cut off has told what it could; what is none at all is a mistake. */
function finish(session: Session, classifier: CaptureClassifier, file: string): void {
  const problem = classifier.finish();
  if (problem === null) return;
  const name = file === STANDARD_INPUT ? "standard input" : file;
  const message = `${name} ${problem.message}`;
  if (problem.code === "ERR_CAPTURE_TRUNCATED") session.presenter.remark(message);
  else throw new CommandError(EXIT.failed, message, "tcpdump -w and Wireshark write captures");
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
