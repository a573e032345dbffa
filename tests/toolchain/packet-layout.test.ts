// A packet layout that is not exactly 1024 bytes does not compile.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

const WRONG_LAYOUTS = [
  { what: "a field that grew", find: '["counter", 8]', replacement: '["counter", 9]' },
  { what: "a field that shrank", find: '["payload", 960]', replacement: '["payload", 959]' },
  { what: "a field that is gone", find: '["reserved", 4],\n', replacement: "" },
  { what: "a field too many", find: '["zone", 1],', replacement: '["zone", 1], ["hue", 1],' },
] as const;

const source = readFileSync("src/schema/packet.ts", "utf8");
let folder: string;
let complaints: string[];

/** The layouts stand side by side in a copy of the rooms they import, and are compiled at once. */
beforeAll(() => {
  mkdirSync(".cache", { recursive: true });
  folder = mkdtempSync(join(".cache", "layout-"));
  for (const room of ["kernel", "schema"]) {
    cpSync(`src/${room}`, join(folder, "src", room), { recursive: true });
  }
  for (const [index, { find, replacement }] of WRONG_LAYOUTS.entries()) {
    expect(source).toContain(find);
    const wrong = source.replace(find, replacement);
    writeFileSync(join(folder, `src/schema/wrong-${index}.ts`), wrong);
  }
  const { compilerOptions } = JSON.parse(readFileSync("tsconfig.json", "utf8")) as {
    compilerOptions: object;
  };
  const files = ["packet", ...WRONG_LAYOUTS.map((_, index) => `wrong-${index}`)];
  const configuration = { compilerOptions, files: files.map((name) => `src/schema/${name}.ts`) };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(configuration));
  const compiler = ["node_modules/typescript/bin/tsc", "-p", folder, "--pretty", "false"];
  complaints = spawnSync(process.execPath, compiler, { encoding: "utf8" }).stdout.split("\n");
});

afterAll(() => rmSync(folder, { recursive: true }));

/** The compiler's errors about the size of the layout in one of the files. */
function sizeErrors(name: string): string[] {
  const lines = readFileSync(join(folder, `src/schema/${name}.ts`), "utf8").split("\n");
  const line = lines.findIndex((text) => text.includes("export const LAYOUT_BYTES")) + 1;
  return complaints.filter((complaint) => complaint.includes(`/${name}.ts(${line},`));
}

test("the layout as it is compiles", () => {
  expect(complaints.filter((complaint) => complaint.includes("/packet.ts("))).toEqual([]);
});

test.each(WRONG_LAYOUTS.map(({ what }, index) => ({ what, index })))(
  "$what does not compile",
  ({ index }) => {
    expect(sizeErrors(`wrong-${index}`)).toEqual([expect.stringContaining("error TS2322")]);
  },
);
