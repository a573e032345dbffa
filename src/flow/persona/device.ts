// What a device is mostly used for, from its flows: bytes by persona, fading with time. A call
// carries few bytes beside a download and matters more, so personas weigh differently.

import { PERSONA_DEVICES_MAX } from "../../kernel/limits.ts";
import { PERSONAS, type Persona } from "../../schema/service.ts";

/** A minute ago counts half. */
const HALF_LIFE_MS = 60_000;
/** Another persona takes over when it leads by so much. */
const LEAD_TO_TAKE_OVER = 1.5;
/** Below this much, in weighed bytes, a device is as good as idle. */
const SCORE_MIN = 500;

/** How much a byte says about what somebody does. System chatter says nothing. */
const WEIGHTS: Readonly<Record<Persona, number>> = {
  unknown: 0,
  voip: 40,
  gaming: 40,
  video: 3,
  streaming: 1.5,
  interactive: 20,
  web: 1,
  bulk: 0.5,
  torrent: 0.5,
  system: 0,
};

interface Device {
  readonly scores: Float64Array;
  atMs: number;
  persona: Persona;
}

export class DevicePersonas {
  /** The longest silent first. */
  readonly #devices = new Map<string, Device>();

  get size(): number {
    return this.#devices.size;
  }

  /**
   * Counts what a device's flow carried since it was last told of.
   * @param device its hardware address, or its IP address where there is none
   * @param bytes both ways together
   * @returns the device's persona now
   */
  observe(device: string, persona: Persona, bytes: number, nowMs: number): Persona {
    const found = this.#take(device, nowMs);
    fade(found, nowMs);
    found.scores[PERSONAS.indexOf(persona)]! += Math.max(0, bytes) * WEIGHTS[persona];
    found.persona = dominant(found);
    return found.persona;
  }

  /** `unknown` for a device that was never seen, or is silent for long. */
  personaOf(device: string, nowMs: number): Persona {
    const found = this.#devices.get(device);
    if (found === undefined) return "unknown";
    fade(found, nowMs);
    found.persona = dominant(found);
    return found.persona;
  }

  /** Takes the device out and puts it back as the latest. */
  #take(device: string, nowMs: number): Device {
    const found = this.#devices.get(device);
    if (found !== undefined) this.#devices.delete(device);
    else if (this.#devices.size >= PERSONA_DEVICES_MAX) {
      const [silent] = this.#devices.keys();
      this.#devices.delete(silent!);
    }
    const taken = found ?? {
      scores: new Float64Array(PERSONAS.length),
      atMs: nowMs,
      persona: "unknown" as const,
    };
    this.#devices.set(device, taken);
    return taken;
  }
}

/** Time that runs backwards fades nothing. */
function fade(device: Device, nowMs: number): void {
  const elapsedMs = nowMs - device.atMs;
  if (elapsedMs <= 0) return;
  const factor = 0.5 ** (elapsedMs / HALF_LIFE_MS);
  for (let i = 0; i < device.scores.length; i += 1) device.scores[i]! *= factor;
  device.atMs = nowMs;
}

/** The highest score, where it leads the present persona clearly. */
function dominant({ scores, persona }: Device): Persona {
  let best = 0;
  for (let i = 1; i < scores.length; i += 1) if (scores[i]! > scores[best]!) best = i;
  if (scores[best]! < SCORE_MIN) return "unknown";
  const held = scores[PERSONAS.indexOf(persona)]!;
  return scores[best]! > held * LEAD_TO_TAKE_OVER ? PERSONAS[best]! : persona;
}
