// The user's own rules for personas, kept over restarts.

import { join } from "node:path";
import { type NumberedRule, PersonaRuleError, PersonaRules } from "../flow/persona/rules.ts";
import { StateFile } from "./state-file.ts";

export class PersonaRuleStore {
  /** In force: what the classifier asks. */
  readonly rules = new PersonaRules();
  readonly #file: StateFile<readonly unknown[]>;

  constructor(dataDir: string) {
    const parse = (value: unknown) => (Array.isArray(value) ? value : null);
    this.#file = new StateFile(join(dataDir, "persona-rules.json"), parse);
  }

  /** Reads what is kept. @returns what is wrong with it, or null */
  load(): string | null {
    const found = this.#file.read();
    if (found === null) return null;
    const how = `${this.#file.path} is left out; "myco persona add" writes it anew`;
    if (found === "damaged") return `it cannot be understood: ${how}`;
    try {
      this.rules.load(found);
      return null;
    } catch (error) {
      if (!(error instanceof PersonaRuleError)) throw error;
      return `${error.message}: ${how}`;
    }
  }

  /** @throws PersonaRuleError, or a system error when it cannot be kept; then it is not in force either */
  add(value: unknown): NumberedRule {
    const rule = this.rules.add(value);
    this.#keep(() => this.rules.delete(rule.id));
    return rule;
  }

  /** @throws PersonaRuleError, or a system error when that cannot be kept; then it stays in force */
  delete(id: number): NumberedRule {
    const before = this.rules.list();
    const rule = this.rules.delete(id);
    this.#keep(() => this.rules.load(before));
    return rule;
  }

  #keep(undo: () => void): void {
    try {
      this.#file.write(this.rules.list());
    } catch (error) {
      undo();
      throw error;
    }
  }
}
