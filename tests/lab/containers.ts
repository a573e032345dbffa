// Machines within one guest: containers of systemd-nspawn, each with its own systemd, files and
// network. They share the guest's clock, which may count instructions, and boot in a fraction of the
// time that as many guests take. The first machine of a script is the container that was the first
// machine of the script before: what that one left, the script has to deal with.

import { assignAddresses, type GuestAddresses, type Link } from "./addresses.ts";
import type { Reply } from "./framing.ts";
import { quoteForShell } from "./guest-recipe.ts";
import { type ExecuteOptions, Machine } from "./machine.ts";
import type { LabContext } from "./script.ts";

/** In memory: the guest's root, read-only, lies below the root of each. */
export const MACHINES_FOLDER = "/run/machines";

const SERVICES_LEFT_OUT = [
  ...["lab-cpus", "lab-network", "lab-console"],
  ...[1, 2, 3, 4].map((shell) => `lab-shell@${shell}`),
  ...["console-getty", "getty-static", "kmod-static-nodes", "modprobe@fuse"],
  ...["systemd-binfmt", "systemd-logind", "systemd-modules-load", "systemd-network-generator"],
  ...["systemd-random-seed", "systemd-remount-fs", "systemd-sysctl", "systemd-sysusers"],
  ...["systemd-tmpfiles-setup", "systemd-tmpfiles-setup-dev", "systemd-tmpfiles-setup-dev-early"],
  ...["systemd-udev-load-credentials", "systemd-user-sessions"],
];

const MOUNTS_LEFT_OUT = [
  ...["dev-hugepages", "run-lock", "sys-fs-fuse-connections"],
  ...["sys-kernel-config", "sys-kernel-debug", "sys-kernel-tracing"],
];

/** What has no place in a container, or what no test needs and all would wait for. */
const UNITS_LEFT_OUT = [
  ...SERVICES_LEFT_OUT.map((name) => `${name}.service`),
  ...MOUNTS_LEFT_OUT.map((name) => `${name}.mount`),
];

/**
 * A laboratory whose machines are containers in a guest.
 * @param wanted the VLANs of each
 */
export function inContainers<Name extends string>(
  lab: LabContext<"guest">,
  wanted: Readonly<Record<Name, readonly number[]>>,
): LabContext<Name> {
  const { guest } = lab.machines;
  const all = assignAddresses(wanted);
  const hosts = all.flatMap(({ name, links }) =>
    links.map(({ address4 }) => `${address4} ${name}`),
  );
  const list = all.map((own) => new Container(guest, own, hosts));
  const machines = Object.fromEntries(list.map((machine) => [machine.name, machine]));
  return {
    ...lab,
    machines: machines as unknown as Record<Name, Machine>,
    startAll: async () => {
      await Promise.all(list.map((machine) => machine.connect()));
    },
  };
}

/** Pulls the cables of a script before. */
export async function unplugAll(guest: Machine): Promise<void> {
  await guest.succeed(`for cable in /sys/class/net/${CABLE}*; do
  [ ! -e "$cable" ] || ip link delete "\${cable##*/}"
done`);
}

/** The names of the guest's ends of all cables begin so. */
const CABLE = "machine";

class Container extends Machine {
  override readonly links: readonly Link[];
  readonly #guest: Machine;
  readonly #hosts: readonly string[];
  readonly #number: number;
  readonly #unit: string;
  readonly #folder: string;
  #isUp = false;

  constructor(guest: Machine, { name, number, links }: GuestAddresses, hosts: readonly string[]) {
    super(name, guest.host);
    this.links = links;
    this.#guest = guest;
    this.#hosts = hosts;
    this.#number = number;
    this.#unit = `machine-${number}.service`;
    this.#folder = `${MACHINES_FOLDER}/${number}`;
  }

  override get isUp(): boolean {
    return this.#isUp && this.#guest.isUp;
  }

  override async connect(): Promise<void> {
    if (this.isUp) return;
    await this.#guest.succeed(
      `if ! systemctl is-active --quiet ${this.#unit}; then
${this.#makeRoot()}
${this.#boot()}
fi
${this.#findInit()}
${this.#beNamed()}
${this.links.map((link) => this.#plugIn(link)).join("\n")}`,
    );
    this.#isUp = true;
  }

  /** What it wrote before it was switched off is still there, its journal too. */
  #makeRoot(): string {
    const [upper, work, root] = ["upper", "work", "root"].map((part) => `${this.#folder}/${part}`);
    return `if ! mountpoint --quiet ${root}; then
  mkdir -p ${upper}/var/log/journal ${upper}/etc/systemd/{system,system-generators} ${work} ${root}
  # An empty file is to systemd one that is not there, and to write it starts no program.
  for unit in ${UNITS_LEFT_OUT.join(" ")}; do
    >${upper}/etc/systemd/system/$unit
  done
  for generator in /usr/lib/systemd/system-generators/*; do
    >${upper}/etc/systemd/system-generators/\${generator##*/}
  done
  mount -t overlay -o lowerdir=/,upperdir=${upper},workdir=${work} ${this.#number} ${root}
fi`;
  }

  /** Ends when its systemd says that all has started. */
  #boot(): string {
    return `systemd-run --quiet --collect --unit=${this.#unit} \\
  --property=Type=notify --property=Delegate=yes --property=KillMode=mixed \\
  systemd-nspawn --quiet --boot --machine=${this.name} --directory=${this.#folder}/root \\
    --keep-unit --register=no --notify-ready=yes --capability=all --private-network \\
    --link-journal=no --resolv-conf=off --timezone=off`;
  }

  #beNamed(): string {
    const inside = `hostname ${this.name}
echo ${this.name} >/etc/hostname
printf '%s\\n' '127.0.0.1 localhost' ${this.#hosts.map(quoteForShell).join(" ")} >/etc/hosts
ip link set lo up`;
    return `${enter("--mount", "--uts", "--net")} bash -euc ${quoteForShell(inside)}`;
  }

  /** Each VLAN is a bridge of the guest. */
  #plugIn(link: Link): string {
    const { vlan, interfaceName, address4, address6 } = link;
    const inside = `ip link set ${interfaceName} up
ip address add ${address4}/24 dev ${interfaceName}
ip address add ${address6}/64 dev ${interfaceName} nodad
ethtool -K ${interfaceName} tso off gso off gro off`;
    return `ip link add lan${vlan} type bridge mcast_snooping 0 2>/dev/null || true
ip link set lan${vlan} up
ip link add ${this.#cable(link)} type veth peer name ${interfaceName} netns "$init"
ip link set ${this.#cable(link)} master lan${vlan} up
${enter("--net")} bash -euc ${quoteForShell(inside)}`;
  }

  #cable({ interfaceName }: Link): string {
    return `${CABLE}${this.#number}-${interfaceName}`;
  }

  /** Says which of the guest's processes is the machine's first. */
  #findInit(): string {
    return `read -r init </sys/fs/cgroup/system.slice/${this.#unit}/payload/init.scope/cgroup.procs`;
  }

  override async run(command: string, options: ExecuteOptions = {}): Promise<Reply> {
    await this.connect();
    const inside = enter("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup");
    const shell = `exec ${inside} bash -euo pipefail -c ${quoteForShell(command)}`;
    return this.#guest.run(`${this.#findInit()}\n${shell}`, options);
  }

  override block(): Promise<void> {
    return this.#setCables("down");
  }

  override unblock(): Promise<void> {
    return this.#setCables("up");
  }

  async #setCables(state: "up" | "down"): Promise<void> {
    for (const link of this.links) {
      await this.#guest.succeed(`ip link set ${this.#cable(link)} ${state}`);
    }
  }

  override async crash(): Promise<void> {
    await this.#guest.succeed(`systemctl kill --signal=KILL ${this.#unit}`);
    await this.#waitUntilOff();
  }

  override async shutdown(): Promise<void> {
    await this.#guest.succeed(`systemctl stop ${this.#unit}`);
    await this.#waitUntilOff();
  }

  async #waitUntilOff(): Promise<void> {
    await this.#guest.waitUntilFails(`systemctl is-active --quiet ${this.#unit}`);
    this.#isUp = false;
  }
}

function enter(...namespaces: string[]): string {
  return `nsenter --target "$init" ${namespaces.join(" ")}`;
}
