// One run's raw logs, read into memory.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type LoadInterval, parseLoadLog } from "./logs/load-log.ts";
import { type Probe, parsePingLog } from "./logs/ping-log.ts";
import { parseQdiscLog, type RateChange } from "./logs/qdisc-log.ts";
import { parseVoice, type VoicePacket } from "./logs/voice-capture.ts";
import type { ContestantSpec, Mark } from "./run-spec.ts";
import { VOICE_SSRC } from "./voice-call.ts";

export interface RunLogs {
  readonly contestant: ContestantSpec;
  readonly marks: readonly Mark[];
  readonly probes: readonly Probe[];
  readonly rateChanges: readonly RateChange[];
  readonly download: DirectionLogs;
  readonly upload: DirectionLogs;
}

export interface DirectionLogs {
  readonly load: readonly LoadInterval[];
  readonly voice: readonly VoicePacket[];
}

/** @throws when the folder lacks a log that every run writes */
export function readRunLogs(folder: string): RunLogs {
  const text = (file: string): string => readFileSync(join(folder, file), "utf8");
  const spec = JSON.parse(text("spec.json")) as { contestant: ContestantSpec };
  const atClient = bytesOrNothing(join(folder, "voice-client.pcap"));
  const atServer = bytesOrNothing(join(folder, "voice-server.pcap"));
  return {
    contestant: spec.contestant,
    marks: text("marks.ndjson")
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Mark),
    probes: parsePingLog(textOrNothing(join(folder, "ping.log"))),
    rateChanges: parseQdiscLog(text("qdisc.log")),
    download: {
      load: parseLoadLog(textOrNothing(join(folder, "download.log"))),
      voice: parseVoice(atServer, atClient, VOICE_SSRC.answer),
    },
    upload: {
      load: parseLoadLog(textOrNothing(join(folder, "upload.log"))),
      voice: parseVoice(atClient, atServer, VOICE_SSRC.call),
    },
  };
}

function textOrNothing(path: string): string {
  return new TextDecoder().decode(bytesOrNothing(path));
}

/** A direction without load has no log of it, and an idle run none of probes and voice. */
function bytesOrNothing(path: string): Uint8Array {
  return existsSync(path) ? readFileSync(path) : new Uint8Array();
}
