// A page that shows one of the LuCI views with recorded answers, and the browser that opens it.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findProgram } from "../../skip-without.ts";

const VIEWS = fileURLToPath(
  new URL(
    "../../../openwrt/feeds/mycoflow/luci-app-mycoflow/htdocs/luci-static/resources/view/mycoflow",
    import.meta.url,
  ),
);
export const STAND_INS = readFileSync(new URL("stand-ins.js", import.meta.url), "utf8");

export const CHROMIUM: string | null = findProgram("chromium") ?? findProgram("chromium-browser");

/** Colours of LuCI's own theme, as far as they matter here. */
const THEMES = {
  light: "background:#fff;color:#333",
  dark: "background:#222;color:#ddd;color-scheme:dark",
} as const;

/** What ubus answers, by object and method. */
export type Answers = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

export function recordedAnswers(): Answers {
  return JSON.parse(readFileSync(new URL("../recorded-ubus.json", import.meta.url), "utf8"));
}

export function viewSource(view: "status" | "settings"): string {
  return readFileSync(join(VIEWS, `${view}.js`), "utf8");
}

/** @param rounds of polling, one after the other */
export function pageText(
  view: "status" | "settings",
  rounds: readonly Answers[],
  theme: keyof typeof THEMES = "light",
): string {
  const script = (value: unknown): string => JSON.stringify(value).replaceAll("<", "\\u003c");
  return `<!doctype html><meta charset="utf-8"><title>LuCI</title>
<style>body{font:15px/1.45 sans-serif;margin:1.5em;${THEMES[theme]}}fieldset{border:0;padding:0}
.cbi-value{display:grid;grid-template-columns:14em 14em 1fr;gap:1em;margin:.3em 0}
.alert-message{padding:.6em 1em;border-radius:6px;background:#fde68a;color:#333;margin:.6em 0}</style>
<div id="view"></div>
<script>globalThis.recordedRounds = ${script(rounds)};</script>
<script>${STAND_INS}</script>
<script>showView(${script(viewSource(view))}, document.getElementById("view")).then(
  () => { document.body.dataset.done = "yes"; },
  (error) => { document.body.dataset.error = String(error.stack); });</script>`;
}

/** Opens a page in headless Chromium. @returns what its document then holds */
export function openPage(text: string, screenshot?: { path: string; height: number }): string {
  const folder = mkdtempSync(join(tmpdir(), "myco-luci-"));
  try {
    const page = join(folder, "page.html");
    writeFileSync(page, text);
    const shot = screenshot && [
      `--screenshot=${screenshot.path}`,
      `--window-size=1100,${screenshot.height}`,
      "--hide-scrollbars",
    ];
    const { stdout, stderr, status } = spawnSync(
      CHROMIUM ?? "",
      [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        `--user-data-dir=${join(folder, "profile")}`,
        "--virtual-time-budget=5000",
        ...(shot ?? ["--dump-dom"]),
        `file://${page}`,
      ],
      { encoding: "utf8", timeout: 90_000, env: { ...process.env, HOME: folder } },
    );
    if (status !== 0) throw new Error(`chromium ended with ${status}: ${stderr.slice(-2_000)}`);
    return stdout;
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}
