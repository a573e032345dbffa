// `myco init`: a new service to start from, with its flake and its manifest.

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { SERVICE_NAME } from "../../schema/text-rules.ts";
import { integerBetween, oneOf } from "../arguments.ts";
import { CommandError } from "../command-error.ts";
import { EXIT } from "../exit-codes.ts";
import type { AddCommand, Session } from "../session.ts";
import type { Template } from "../templates/template.ts";

const LANGUAGES = ["python", "go", "node"] as const;
type Language = (typeof LANGUAGES)[number];

interface InitOptions {
  readonly language?: Language;
  readonly name?: string;
  readonly port: number;
}

const PORT_DEFAULT = 8080;
/** All that is typed at the terminal. */
const ANSWERS_CHARACTERS_MAX = 1_000;

interface Question {
  /** Where it can be answered in advance. */
  readonly option: string;
  readonly text: string;
}

const LANGUAGE: Question = { option: "--language", text: `Language (${LANGUAGES.join(", ")}): ` };
const NAME: Question = { option: "--name", text: "Name of the service: " };

const HELP = `
Writes flake.nix, flake.lock, myco.json and a program of a few lines, and never over what is there.
What is not given is asked for on a terminal.

Examples:
  $ myco init hello --language python
  $ myco init . --language node --name hello --port 9000`;

export const addInitCommand: AddCommand = (parent, session, run) => {
  parent
    .command("init")
    .description("write a new service to start from: program, flake and manifest")
    .argument("[dir]", "its folder, made where missing", ".")
    .option("--language <language>", LANGUAGES.join(", "), oneOf(LANGUAGES))
    .option("--name <name>", "what it is called (default: as its folder)")
    .option("--port <number>", "where it listens", integerBetween(1, 65_535), PORT_DEFAULT)
    .addHelpText("after", HELP)
    .action(
      run(async (dir: string, options: InitOptions) => {
        const folder = resolve(session.world.cwd, dir);
        const given = { language: options.language, name: options.name ?? nameOfFolder(folder) };
        const { language, name } = await complete(session, given);
        const { projectFiles } = await import("../templates/template.ts");
        const template = await loadTemplate(language);
        const files = projectFiles(template, { name, port: options.port });
        write(folder, files);
        tell(session, folder, [...files.keys()]);
        return EXIT.ok;
      }),
    );
};

async function loadTemplate(language: Language): Promise<Template> {
  switch (language) {
    case "python":
      return (await import("../templates/python.ts")).PYTHON;
    case "go":
      return (await import("../templates/go.ts")).GO;
    case "node":
      return (await import("../templates/node.ts")).NODE;
  }
}

function nameOfFolder(folder: string): string | undefined {
  const name = basename(folder).toLowerCase();
  return SERVICE_NAME.test(name) ? name : undefined;
}

/** Asks for what is missing. */
async function complete(
  session: Session,
  given: { readonly language: Language | undefined; readonly name: string | undefined },
): Promise<{ language: Language; name: string }> {
  const questions: Question[] = [];
  if (given.language === undefined) questions.push(LANGUAGE);
  if (given.name === undefined) questions.push(NAME);
  const answers = await ask(session, questions);
  return {
    language: given.language ?? languageFrom(answers.get(LANGUAGE) ?? ""),
    name: nameFrom(given.name ?? answers.get(NAME) ?? ""),
  };
}

function languageFrom(word: string): Language {
  const found = LANGUAGES.find((language) => language === word);
  if (found !== undefined) return found;
  throw new CommandError(
    EXIT.usage,
    `found the language ${JSON.stringify(word)}`,
    `allowed: ${LANGUAGES.join(", ")}`,
  );
}

function nameFrom(word: string): string {
  if (SERVICE_NAME.test(word)) return word;
  throw new CommandError(
    EXIT.usage,
    `found the name ${JSON.stringify(word)}`,
    "allowed: a lower-case letter, then at most 62 letters, digits and hyphens, the last no hyphen",
  );
}

/** One line from the terminal for each; elsewhere nobody is there to answer. */
async function ask(
  { world, presenter }: Session,
  questions: readonly Question[],
): Promise<Map<Question, string>> {
  const answers = new Map<Question, string>();
  if (questions.length === 0) return answers;
  if (world.stdin.isTTY !== true || world.stdout.isTTY !== true) {
    throw new CommandError(
      EXIT.usage,
      `missing: ${questions.map(({ option }) => option).join(", ")}`,
      '"myco init --help" shows what they may be; they are asked for on a terminal only',
    );
  }
  presenter.raw(questions[0]!.text);
  let text = "";
  for await (const chunk of world.stdin) {
    text += String(chunk);
    const lines = text.split("\n").slice(0, -1);
    for (const line of lines.slice(answers.size, questions.length)) {
      answers.set(questions[answers.size]!, line.trim());
      const next = questions[answers.size];
      if (next !== undefined) presenter.raw(next.text);
    }
    if (answers.size === questions.length || text.length > ANSWERS_CHARACTERS_MAX) break;
  }
  return answers;
}

/** All or nothing, as far as what is there already goes. */
function write(folder: string, files: ReadonlyMap<string, string>): void {
  const inTheWay = [...files.keys()].filter((name) => existsSync(join(folder, name)));
  if (inTheWay.length > 0) {
    throw new CommandError(
      EXIT.refused,
      `${folder} has already: ${inTheWay.join(", ")}`,
      "nothing was written; name an empty folder, or move these away",
    );
  }
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of files) {
    const mode = text.startsWith("#!") ? 0o755 : 0o644;
    writeFileSync(join(folder, name), text, { flag: "wx", mode });
  }
}

function tell({ presenter, world }: Session, folder: string, files: readonly string[]): void {
  const place = relative(world.cwd, folder) || ".";
  presenter.line(`${presenter.paint("green", "✓")} written to ${place}: ${files.join(", ")}`);
  presenter.line("next:");
  const steps: (readonly [string, string])[] = [
    [`cd ${place}`, ""],
    ["git init && git add .", "a flake in a repository is what git knows of it"],
    ["nix flake check", "builds it, and asks it whether it is well"],
    ["myco deploy", "on this machine; for others, push it where they reach it and say so in"],
    ["", '"flake" of myco.json, such as "github:OWNER/REPO"'],
  ];
  for (const [command, why] of steps.slice(place === "." ? 1 : 0)) {
    presenter.line(`  ${command.padEnd(22)} ${why}`.trimEnd());
  }
}
