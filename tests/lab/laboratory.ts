// The guests of one run: their image, their addresses, their disks, and the end of it all.

import { appendFileSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { type Accelerator, chooseAccelerator } from "./accelerator.ts";
import { assignAddresses, networkParameters } from "./addresses.ts";
import { collectLogs } from "./failure-report.ts";
import { ensureGuestImage, type GuestImage } from "./guest-image.ts";
import { ensureHostTools, hostPath } from "./host-tools.ts";
import { Machine } from "./machine.ts";
import type { LanSegment } from "./qemu.ts";
import type { MachineOptions } from "./script.ts";

const DEFAULT_CPUS = 2;
const DEFAULT_MEMORY_MIB = 1500;

/** A guest that has not come up in KVM by then never will. */
const KVM_BOOT_SECONDS = 30;

const SCRATCH_PREFIX = "myco-lab-";

export interface LaboratoryOptions {
  /** The project's root folder. */
  readonly root: string;
  /** Takes one line about the lab's own doings. */
  say(line: string): void;
  /** "auto" tries KVM once and remembers. */
  readonly accelerator?: Accelerator | "auto";
  /** Takes every step of every machine. */
  trace?(line: string): void;
}

/** What guests are made of here: tools, image and accelerator, found out once. */
export class Laboratory {
  readonly accelerator: Accelerator;
  readonly image: GuestImage;
  readonly root: string;
  /** Disks and logs of all guests. */
  readonly scratch: string;
  readonly #trace: (line: string) => void;
  #sets = 0;
  #bundle: Promise<unknown> | null = null;

  private constructor(
    options: LaboratoryOptions,
    image: GuestImage,
    accelerator: Accelerator,
    scratch: string,
  ) {
    this.root = options.root;
    this.image = image;
    this.accelerator = accelerator;
    this.scratch = scratch;
    this.#trace = options.trace ?? (() => {});
  }

  /**
   * Makes everything ready that guests need.
   * @throws HostLacksError, or LabError when the image cannot be built
   */
  static async open(options: LaboratoryOptions): Promise<Laboratory> {
    await ensureHostTools(options.say);
    const guestFolder = join(options.root, "tests", "lab", "guest");
    const image = await ensureGuestImage(guestFolder, options.say);
    const scratch = makeScratch();
    const { accelerator: wish = "auto" } = options;
    const accelerator =
      wish === "auto"
        ? await chooseAccelerator(() => Laboratory.#bootsInKvm(options, image, scratch))
        : wish;
    return new Laboratory(options, image, accelerator, scratch);
  }

  static async #bootsInKvm(
    options: LaboratoryOptions,
    image: GuestImage,
    scratch: string,
  ): Promise<boolean> {
    const trial = new Laboratory(options, image, "kvm", join(scratch, "kvm-trial"));
    const guests = await trial.guests({ trial: {} });
    try {
      await guests.machines.trial!.connect(KVM_BOOT_SECONDS);
      return true;
    } catch {
      return false;
    } finally {
      await guests.destroy();
    }
  }

  /** Machines that are off, with fresh disks, on LANs of their own. */
  async guests<Name extends string>(
    wanted: Readonly<Record<Name, MachineOptions>>,
  ): Promise<Guests<Name>> {
    const folder = join(this.scratch, String(this.#sets++));
    mkdirSync(folder, { recursive: true });
    const options = wanted as Readonly<Record<string, MachineOptions>>;
    const all = assignAddresses(
      Object.fromEntries(Object.entries(options).map(([name, { vlans = [] }]) => [name, vlans])),
    );
    const lan = privateSegment();
    const log = (line: string): void => {
      appendFileSync(join(folder, "driver.log"), `${new Date().toISOString()} ${line}\n`);
      this.#trace(line);
    };
    const machines: Record<string, Machine> = {};
    for (const guest of all) {
      const { cpus = DEFAULT_CPUS, memoryMiB = DEFAULT_MEMORY_MIB } = options[guest.name]!;
      const { clock = "host" } = options[guest.name]!;
      const disk = join(folder, `${guest.name}.qcow2`);
      await makeDisk(this.image.root, disk);
      machines[guest.name] = new Machine(guest.name, {
        log,
        qemu: {
          accelerator: this.accelerator,
          clock,
          kernel: this.image.kernel,
          disk,
          cpus,
          memoryMiB,
          links: guest.links,
          consoleFile: join(folder, `${guest.name}.console.log`),
          kernelParameters: networkParameters(guest, all),
          lan,
        },
      });
    }
    return new Guests(machines as Record<Name, Machine>, folder);
  }

  /** Builds dist/myco.mjs and puts it into each machine, to be started as `myco`. */
  async installMyco(set: Guests): Promise<void> {
    this.#bundle ??= execa("node", [join("scripts", "build.mjs")], { cwd: this.root });
    await this.#bundle;
    await set.startAll();
    await Promise.all(
      set.list.map(async (machine) => {
        await machine.copyFromHost(join(this.root, "dist"), "/opt/myco");
        await machine.succeed("ln -sf /opt/myco/myco.mjs /usr/local/bin/myco");
      }),
    );
  }

  /** Removes the disks of every guest. Destroy the guests first. */
  close(): void {
    rmSync(this.scratch, { recursive: true, force: true });
  }
}

/** A set of machines that were made together. */
export class Guests<Name extends string = string> {
  readonly machines: Readonly<Record<Name, Machine>>;
  /** Disks, console logs and the driver's log. */
  readonly folder: string;

  constructor(machines: Readonly<Record<Name, Machine>>, folder: string) {
    this.machines = machines;
    this.folder = folder;
  }

  get list(): Machine[] {
    return Object.values<Machine>(this.machines);
  }

  async startAll(): Promise<void> {
    await Promise.all(this.list.map((machine) => machine.connect()));
  }

  /** Asks every machine that still answers for its state, and puts it all into `target`. */
  collect(target: string): Promise<void> {
    return collectLogs(this.list, this.folder, target);
  }

  /** Cuts the power of every machine. */
  async powerOff(): Promise<void> {
    await Promise.all(this.list.map((machine) => machine.crash()));
  }

  /** Cuts the power of every machine and forgets their disks. */
  async destroy(): Promise<void> {
    await this.powerOff();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** An overlay: the image stays as it is, and what the guest writes lasts over its reboots. */
async function makeDisk(image: string, disk: string): Promise<void> {
  await execa("qemu-img", ["create", "-q", "-f", "qcow2", "-F", "raw", "-b", image, disk], {
    env: { PATH: hostPath() },
  });
}

/** A folder of this process; those of drivers that were killed go. */
function makeScratch(): string {
  for (const name of readdirSync(tmpdir())) {
    const pid = new RegExp(`^${SCRATCH_PREFIX}(\\d+)$`).exec(name)?.[1];
    if (pid === undefined || statSync(`/proc/${pid}`, { throwIfNoEntry: false })) continue;
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
  const scratch = join(tmpdir(), `${SCRATCH_PREFIX}${process.pid}`);
  mkdirSync(scratch, { recursive: true });
  return scratch;
}

/** A multicast group that two laboratories on one host will hardly share (RFC 2365, local scope). */
function privateSegment(): LanSegment {
  const byte = (): number => 1 + Math.floor(Math.random() * 254);
  return { group: `239.255.${byte()}.${byte()}`, firstPort: 20_000 + byte() * 100 };
}
