// The live flows' verdicts: what the tap tells goes in, the verdict in force comes out when it
// changed. The plane's one door to this room.

import { TAP_FLOWS_MAX } from "../../kernel/limits.ts";
import type { FlowVerdict } from "../interface.ts";
import type { FlowFeatures, FlowNews, PayloadMatcher } from "../tap/features.ts";
import type { Catalog } from "./catalog.ts";
import { Classifier, type DeclaredServices, NOTHING_DECLARED } from "./classifier.ts";
import { SignatureMatcher } from "./payload-matcher.ts";
import type { PersonaRules } from "./rules.ts";
import { StickyVerdicts } from "./stickiness.ts";

export interface RecognizerOptions {
  readonly catalog: Catalog;
  /** The user's own; changes are in force with the next news of a flow. */
  readonly rules: PersonaRules;
  /** What services of the mesh declare; none when left out. */
  readonly declared?: DeclaredServices;
}

export class FlowRecognizer {
  /** For the tap. */
  readonly matcher: PayloadMatcher;
  readonly #classifier: Classifier;
  readonly #verdicts = new StickyVerdicts(TAP_FLOWS_MAX);

  constructor({ catalog, rules, declared = NOTHING_DECLARED }: RecognizerOptions) {
    this.matcher = new SignatureMatcher(catalog);
    this.#classifier = new Classifier({ catalog, rules, declared });
  }

  /**
   * Takes the tap's news of a flow.
   * @returns the verdict in force, the same object as long as it stands; null at the flow's end
   */
  hear(flow: FlowFeatures, news: FlowNews): FlowVerdict | null {
    if (news === "end") {
      this.#verdicts.forget(flow.id);
      return null;
    }
    return this.#verdicts.judge(flow.id, this.#classifier.classify(flow));
  }
}
