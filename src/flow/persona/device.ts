// What a device is mostly used for, from its flows: bytes by persona, fading with time. A call
// carries few bytes beside a download and matters more, so personas weigh differently, and bytes
// count by their square root.

import { PERSONA_DEVICES_MAX } from "../../kernel/limits.ts";
import { PERSONAS, type Persona } from "../../schema/service.ts";

/** A minute ago counts half. */
const HALF_LIFE_MS = 60_000;
/** Another persona takes over when it leads by so much. */
const LEAD_TO_TAKE_OVER = 1.25;
/** Below what 1 kB of pages weighs, a device is as good as idle. */
const WEIGHT_MIN = 32;

/** How much it says about what somebody does. System chatter says nothing. */
const WEIGHTS: Readonly<Record<Persona, number>> = {
  unknown: 0,
  voip: 40,
  gaming: 30,
  video: 6,
  streaming: 2,
  interactive: 15,
  web: 1,
  bulk: 0.7,
  torrent: 0.7,
  system: 0,
};

interface Device {
  /** By the index in `PERSONAS`. */
  readonly bytes: Float64Array;
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
    found.bytes[PERSONAS.indexOf(persona)]! += Math.max(0, bytes);
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
      bytes: new Float64Array(PERSONAS.length),
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
  for (let i = 0; i < device.bytes.length; i += 1) device.bytes[i]! *= factor;
  device.atMs = nowMs;
}

/** The weightiest persona, where it leads the present one clearly. */
function dominant(device: Device): Persona {
  const best = PERSONAS.reduce((found, each) =>
    weightOf(device, each) > weightOf(device, found) ? each : found,
  );
  const weight = weightOf(device, best);
  if (weight < WEIGHT_MIN) return "unknown";
  const { persona } = device;
  return weight > weightOf(device, persona) * LEAD_TO_TAKE_OVER ? best : persona;
}

function weightOf({ bytes }: Device, persona: Persona): number {
  return WEIGHTS[persona] * Math.sqrt(bytes[PERSONAS.indexOf(persona)]!);
}
