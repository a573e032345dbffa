// The LuCI views in headless Chromium, with answers that were recorded of ubus: what people then see.

import { beforeAll, describe, expect, it } from "vitest";
import { skipWithout } from "../skip-without.ts";
import { type Answers, CHROMIUM, openPage, pageText, recordedAnswers } from "./luci/page.ts";

interface RecordedStatus {
  readonly decisions: readonly { readonly kind: string; readonly cause: string }[];
}

describe("the LuCI views, in Chromium", () => {
  skipWithout(CHROMIUM, "chromium");
  const recorded = recordedAnswers();
  const status = recorded.myco!.status as RecordedStatus;
  const withStatus = (changes: object): Answers => ({
    ...recorded,
    myco: { ...recorded.myco, status: { ...status, ...changes } },
  });

  describe("the status page", () => {
    let html = "";
    beforeAll(() => {
      if (CHROMIUM !== null) html = openPage(pageText("status", [recorded]));
    });

    it("comes up without a mistake", () => {
      expect(html).toContain('data-done="yes"');
      expect(html).not.toContain("data-error");
    });

    it("shows delay and rates as charts, a line for each that was measured", () => {
      const charts = [...html.matchAll(/<svg[^>]*aria-label="(\w+)"[\s\S]*?<\/svg>/g)];
      expect(charts.map(([, name]) => name)).toEqual(["Delay", "Download", "Upload"]);
      for (const [chart] of charts) {
        expect(chart.match(/<path/g)?.length).toBeGreaterThanOrEqual(3);
        expect(chart).not.toMatch(/NaN|undefined|null/);
      }
    });

    it("names the tins of both directions, the best first", () => {
      const names = [...html.matchAll(/<td>(Voice|Video|Best effort|Bulk)<\/td>/g)];
      const inOrder = ["Voice", "Video", "Best effort", "Bulk"];
      expect(names.map(([, name]) => name)).toEqual([...inOrder, ...inOrder]);
    });

    it("tells what each flow is for, with whom, and how it is known", () => {
      for (const text of ["bulk_dl", "updates.example.net", "812.4 MB", "tls, behaviour", "86 %"]) {
        expect(html).toContain(text);
      }
      expect(html).toContain("198.51.100.7:3478");
      expect(html).toMatch(/torrent<\/span> torrent throttled/);
    });

    it("tells what was decided, and why", () => {
      const [, kind, cause] =
        /myco-badge[^>]*>(raise|lower|settle|restore)<[\s\S]*?<strong>([a-z-]+)<\/strong>/.exec(
          html.slice(html.indexOf("Decisions")),
        ) ?? [];
      const last = status.decisions.at(-1)!;
      expect({ kind, cause }).toEqual({ kind: last.kind, cause: last.cause });
      expect(html).toContain("deltaMs");
    });

    it("takes a host name for text, whatever it looks like", () => {
      expect(html).toContain("&lt;img src=x onerror=\"document.title='owned'\"&gt;");
      expect(html).not.toContain("<img");
      expect(html).toContain("<title>LuCI</title>");
    });
  });

  it("shows what has changed with each round of polling", () => {
    const frozen = withStatus({ frozen: true, problem: "fping ended", flowCount: 4711 });
    const html = openPage(pageText("status", [recorded, frozen]));
    expect(html).toContain(">frozen</span>");
    expect(html).toContain("fping ended");
    expect(html).toContain("4711");
  });

  it("leaves a gap where nothing was measured, and has no figure for what is not known", () => {
    const point = (atMs: number, rttMs: number | null) => ({ atMs, rttMs });
    const history = [point(0, 10), point(1_000, 12), point(2_000, null), point(3_000, 11)];
    const html = openPage(pageText("status", [withStatus({ history, residentBytes: null })]));
    const delay = html.slice(html.indexOf('aria-label="Delay"'), html.indexOf("</svg>"));
    expect(delay.match(/fill="none"/g)).toHaveLength(2);
    expect(delay).not.toContain("NaN");
    expect(html).toContain("<b>–</b>");
  });

  it("says what to do when the daemon, or its plane, does not run", () => {
    const problems = [{ code: "configuration", message: "flow.sample_hz: found 99" }];
    const off: Answers = {
      myco: { status: { phase: "stopped", health: { ok: false, problems } } },
    };
    for (const html of [
      openPage(pageText("status", [{}, off])),
      openPage(pageText("status", [off])),
    ]) {
      expect(html).toContain("MycoFlow does not run");
      expect(html).toContain("logread -e mycoflow");
      expect(html).toContain("flow.sample_hz: found 99");
    }
  });

  it("has a page of settings, in groups", () => {
    const html = openPage(pageText("settings", [recorded]));
    expect(html).toContain('data-done="yes"');
    for (const name of ["flow.enabled", "flow.egress_iface", "download.max", "treatment.torrent"]) {
      expect(html).toContain(`data-option="${name}"`);
    }
  });
});
