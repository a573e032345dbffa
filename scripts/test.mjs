// `npm test`: installs what is locked, then checks everything in turn, the quick checks first.
// Stops at the first check that fails. A test that skips itself says why in
// `task.meta.skipReason`.
import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { setup } from "./setup.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const reports = join(root, ".cache", "test-reports");

/** Each is one command; the ones with a report count the tests in it, the others count as one. */
const CHECKS = [
  { name: "types", script: "typescript/bin/tsc", args: ["--noEmit"] },
  { name: "lint and format", script: "@biomejs/biome/bin/biome", args: ["check", "."] },
  {
    name: "architecture",
    script: "dependency-cruiser/bin/dependency-cruise.mjs",
    args: ["--config", ".dependency-cruiser.cjs", "src", "sim", "tests", "bench", "demo"],
  },
  vitest("unit"),
  vitest("simulation"),
  vitest("integration"),
  { name: "bundle", file: "scripts/build.mjs", args: [] },
];

function vitest(project) {
  const report = join(reports, `${project}.json`);
  const args = ["run", "--project", project, "--reporter=default"];
  args.push("--reporter=json", `--outputFile.json=${report}`);
  return { name: `${project} tests`, script: "vitest/vitest.mjs", args, report };
}

/** Runs one check with its output shown. @returns whether it ended with 0 */
function run({ script, file, args }) {
  const program = file === undefined ? join(root, "node_modules", script) : join(root, file);
  const child = spawn(process.execPath, [program, ...args], { cwd: root, stdio: "inherit" });
  return new Promise((resolve) => {
    child.once("error", () => resolve(false));
    child.once("exit", (code) => resolve(code === 0));
  });
}

/** What a check adds to the sums. A run that ended badly has failed, whatever its report says. */
function count(check, ok) {
  const tests = check.report === undefined ? null : readReport(check.report);
  if (tests === null) return { passed: ok ? 1 : 0, failed: ok ? 0 : 1, skipped: [] };
  const failed = tests.filter(({ status }) => status === "failed").length;
  return {
    passed: tests.filter(({ status }) => status === "passed").length,
    failed: ok ? failed : Math.max(1, failed),
    skipped: tests.filter(({ status }) => status !== "passed" && status !== "failed"),
  };
}

function readReport(path) {
  try {
    const { testResults } = JSON.parse(readFileSync(path, "utf8"));
    return testResults.flatMap(({ name, assertionResults }) =>
      assertionResults.map((test) => ({ ...test, file: relative(root, name) })),
    );
  } catch {
    return null;
  }
}

const startMs = performance.now();
const seconds = (sinceMs) => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;

setup();
rmSync(reports, { recursive: true, force: true });
mkdirSync(reports, { recursive: true });
const sums = { passed: 0, failed: 0, skipped: [] };
for (const [index, check] of CHECKS.entries()) {
  console.log(`» ${index + 1}/${CHECKS.length} ${check.name}`);
  const checkStartMs = performance.now();
  const ok = await run(check);
  const { passed, failed, skipped } = count(check, ok);
  sums.passed += passed;
  sums.failed += failed;
  sums.skipped.push(...skipped);
  console.log(`» ${check.name}: ${ok ? "ok" : "FAILED"}, ${seconds(checkStartMs)}`);
  if (!ok) break;
}
for (const { file, fullName, meta } of sums.skipped) {
  console.log(`skipped: ${file}: ${fullName}: ${meta?.skipReason ?? "no reason given"}`);
}
console.log(`» everything took ${seconds(startMs)}`);
console.log(`${sums.passed} passed, ${sums.failed} failed, ${sums.skipped.length} skipped`);
process.exitCode = sums.failed === 0 ? 0 : 1;
