// A whole capture through the tap and the classifier: one verdict for each flow, when it ends.

import { CLASSIFY_FLOWS_MAX, TAP_NAMES_MAX, TAP_STREAMS_MAX } from "../../kernel/limits.ts";
import type { FlowVerdict } from "../interface.ts";
import type { QuicCrypto } from "../ports.ts";
import type { CaptureProblem } from "../tap/capture.ts";
import { Tap, type TapCounts } from "../tap/tap.ts";
import type { Catalog } from "./catalog.ts";
import { Classifier, NOTHING_DECLARED } from "./classifier.ts";
import { SignatureMatcher } from "./payload-matcher.ts";
import { PersonaRules } from "./rules.ts";

export interface CaptureClassifierOptions {
  readonly catalog: Catalog;
  readonly crypto: QuicCrypto;
  /** Each flow's final verdict, in the order the flows end. Called within `push` and `finish`. */
  readonly onVerdict: (verdict: FlowVerdict) => void;
}

export class CaptureClassifier {
  readonly #tap: Tap;

  constructor({ catalog, crypto, onVerdict }: CaptureClassifierOptions) {
    const rules = new PersonaRules();
    const classifier = new Classifier({ catalog, rules, declared: NOTHING_DECLARED });
    this.#tap = new Tap({
      crypto,
      matcher: new SignatureMatcher(catalog),
      onFlow: (flow, news) => {
        if (news === "end") onVerdict(classifier.classify(flow));
      },
      flowsMax: CLASSIFY_FLOWS_MAX,
      namesMax: TAP_NAMES_MAX,
      streamsMax: TAP_STREAMS_MAX,
      idleMs: Number.POSITIVE_INFINITY,
      hashSeed: 0,
    });
  }

  get counts(): TapCounts {
    return this.#tap.counts;
  }

  /** The next bytes of the capture, in pieces of any size. */
  push(bytes: Uint8Array): void {
    this.#tap.push(bytes);
  }

  /** @returns why the capture was not read to a proper end, or null */
  finish(): CaptureProblem | null {
    return this.#tap.finish();
  }
}
