// What `myco init` writes, in the hands of a real nix: every flake evaluates whole, its lock is
// taken as it is, and its package has the program where the manifest looks for it.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { myco } from "../cli/terminal.ts";

const STUB = fileURLToPath(new URL("../cli/stub-nixpkgs", import.meta.url));
const NIX_CONFIG = `experimental-features = nix-command flakes
substituters =
build-users-group =
sandbox = false
`;
const hasNix = spawnSync("nix", ["--version"]).status === 0;
const folder = mkdtempSync(join(tmpdir(), "myco-init-nix-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function nix(...args: string[]) {
  const env = { ...process.env, NIX_CONFIG, HOME: folder };
  return spawnSync("nix", [...args, "--store", join(folder, "store")], { env, encoding: "utf8" });
}

// Without nix there is nobody to ask.
describe.skipIf(!hasNix)("the flake of a new service", () => {
  test.each(["python", "go", "node"])(
    "in %s evaluates, with its lock as it stands",
    async (language) => {
      const project = join(folder, language);
      const written = await myco(["init", project, "--language", language, "--name", "hello"]);
      expect(written.exitCode).toBe(0);
      const lock = readFileSync(join(project, "flake.lock"));
      const metadata = nix("flake", "metadata", "--no-update-lock-file", `path:${project}`);
      expect([metadata.status, metadata.stderr]).toEqual([0, expect.any(String)]);
      expect(metadata.stdout).toContain("b18a4b905f8d028dc4476412e6d6891728695379");
      const override = ["--override-input", "nixpkgs", `path:${STUB}`, "--no-write-lock-file"];
      const check = nix("flake", "check", "--no-build", ...override, `path:${project}`);
      expect([check.stderr, check.status]).toEqual([expect.any(String), 0]);
      for (const system of ["x86_64-linux", "aarch64-linux"]) {
        for (const output of ["packages", "checks"]) {
          const attribute = `path:${project}#${output}.${system}`;
          const names = nix(
            "eval",
            "--json",
            ...override,
            attribute,
            "--apply",
            "builtins.attrNames",
          );
          expect(JSON.parse(names.stdout)).toHaveLength(1);
        }
      }
      expect(readFileSync(join(project, "flake.lock")).equals(lock)).toBe(true);
    },
  );

  test("that says what nixpkgs does not know fails", async () => {
    const project = join(folder, "wrong");
    await myco(["init", project, "--language", "go", "--name", "hello"]);
    const file = join(project, "flake.nix");
    const text = readFileSync(file, "utf8").replace("vendorHash", "vendorSha");
    writeFileSync(file, text);
    const override = ["--override-input", "nixpkgs", `path:${STUB}`, "--no-write-lock-file"];
    expect(nix("flake", "check", "--no-build", ...override, `path:${project}`).status).not.toBe(0);
  });
});
