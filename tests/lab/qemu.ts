// One QEMU process: its command line, and the file descriptors through which the driver talks to
// it. There are no socket files, and the kernel ends QEMU when the driver is gone.

import { type ChildProcess, spawn } from "node:child_process";
import { availableParallelism } from "node:os";
import type { Duplex } from "node:stream";
import type { Accelerator } from "./accelerator.ts";
import type { Link } from "./addresses.ts";
import { SHELLS } from "./guest-recipe.ts";
import { hostPath } from "./host-tools.ts";

export interface QemuOptions {
  readonly accelerator: Accelerator;
  readonly clock: GuestClock;
  readonly kernel: string;
  /** A qcow2 file that this guest may write to. */
  readonly disk: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly links: readonly Link[];
  /** Where the guest's serial console goes. */
  readonly consoleFile: string;
  readonly kernelParameters: readonly string[];
  readonly lan: LanSegment;
  /** Gives the guest the terminal of whoever runs the driver. */
  readonly terminal: boolean;
}

/**
 * What the guest's time goes by. "host": the host's clock, so that a busy host makes a slow guest.
 * "instructions": one nanosecond for each instruction of its one processor, idle time skipped, so
 * that a busy host only makes whoever waits wait longer (QEMU's -icount; always emulated).
 */
export type GuestClock = "host" | "instructions";

/** What all guests of one laboratory share, and nobody else uses: VLAN v is port `firstPort` + v. */
export interface LanSegment {
  readonly group: string;
  readonly firstPort: number;
}

export interface QemuProcess {
  readonly child: ChildProcess;
  readonly shells: readonly Duplex[];
  readonly monitor: Duplex;
}

/** After stdin, stdout and stderr: one descriptor for each shell, then the monitor's. */
const FIRST_SHELL_FD = 3;
const MONITOR_FD = FIRST_SHELL_FD + SHELLS;

/** A CPU model that crashes neither the kernel (a 16-byte compare-and-swap under TCG) nor Node. */
const TCG = ["-accel", "tcg,thread=multi", "-cpu", "qemu64,-cx16"];
const KVM = ["-accel", "kvm", "-cpu", "host"];
const INSTRUCTION_CLOCK = [
  ...["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"],
  ...["-cpu", "qemu64,-cx16", "-rtc", "clock=vm"],
];

/** Debian's cloud kernel has NVMe and ext4 built in: it needs no initial RAM disk and no boot loader. */
const KERNEL_PARAMETERS = [
  "console=ttyS0",
  "root=/dev/nvme0n1",
  "rootfstype=ext4",
  "rw",
  "net.ifnames=0",
  "mitigations=off",
  "panic=-1",
  // A boot that hangs tells on the console at what.
  "systemd.show_status=1",
  // guest/etc/systemd/system/lab-cpus.service says why, and starts the others.
  "maxcpus=1",
];

export function qemuArguments(options: QemuOptions): string[] {
  const shells = Array.from({ length: SHELLS }, (_, index) => index);
  return [
    ...["-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"],
    ...["-machine", "q35,hpet=off"],
    ...processor(options),
    ...["-m", String(options.memoryMiB)],
    ...["-kernel", options.kernel],
    ...["-append", [...KERNEL_PARAMETERS, ...options.kernelParameters].join(" ")],
    // The guest numbers its virtio devices in this order, and looks for its shells on the first.
    ...["-device", "virtio-serial-pci"],
    ...["-drive", `if=none,id=root,format=qcow2,file=${options.disk}`],
    ...["-device", "nvme,drive=root,serial=lab"],
    ...["-serial", `file:${options.consoleFile}`],
    ...["-object", "rng-random,id=entropy,filename=/dev/urandom"],
    ...["-device", "virtio-rng-pci,rng=entropy"],
    ...shells.flatMap((index) => [
      ...["-chardev", `socket,id=shell${index},fd=${FIRST_SHELL_FD + index}`],
      ...["-device", `virtserialport,chardev=shell${index},nr=${index + 1}`],
    ]),
    ...["-chardev", `socket,id=monitor,fd=${MONITOR_FD}`, "-mon", "chardev=monitor,mode=control"],
    ...options.links.flatMap((link, index) => [
      ...["-netdev", `socket,id=lan${index},${mcast(options.lan, link.vlan)}`],
      ...["-device", `virtio-net-pci,id=card${index},netdev=lan${index},mac=${link.mac},romfile=`],
    ]),
    ...(options.terminal
      ? ["-chardev", "stdio,id=terminal,signal=off", "-device", "virtconsole,chardev=terminal"]
      : []),
  ];
}

function processor({ accelerator, clock, cpus }: QemuOptions): string[] {
  if (clock === "instructions") return [...INSTRUCTION_CLOCK, "-smp", "1"];
  return [...(accelerator === "kvm" ? KVM : TCG), "-smp", String(cpus)];
}

function mcast({ group, firstPort }: LanSegment, vlan: number): string {
  return `mcast=${group}:${firstPort + vlan},localaddr=127.0.0.1`;
}

/** A session of its own keeps the terminal's Ctrl-C from the guest, unless the guest has the terminal. */
export function startQemu(options: QemuOptions): QemuProcess {
  const standard = options.terminal ? "inherit" : "ignore";
  const child = spawn(
    "setpriv",
    [
      ...["--pdeathsig", "KILL"],
      ...(options.clock === "instructions" ? ["taskset", "-c", String(nextProcessor())] : []),
      ...["qemu-system-x86_64", ...qemuArguments(options)],
    ],
    {
      detached: !options.terminal,
      env: { ...process.env, PATH: hostPath() },
      stdio: [
        standard,
        standard,
        options.terminal ? "inherit" : "pipe",
        ...Array<"pipe">(SHELLS + 1).fill("pipe"),
      ],
    },
  );
  const stream = (fd: number): Duplex => child.stdio[fd] as unknown as Duplex;
  const shells = Array.from({ length: SHELLS }, (_, index) => stream(FIRST_SHELL_FD + index));
  return { child, shells, monitor: stream(MONITOR_FD) };
}

let started = 0;

/**
 * The one processor of a guest whose clock counts instructions: QEMU's threads hand over to each
 * other thousands of times a second then, which costs several times as much across processors. From
 * the last one downwards, since most programs that choose one begin with the first.
 */
function nextProcessor(): number {
  const processors = availableParallelism();
  return processors - 1 - (started++ % processors);
}
