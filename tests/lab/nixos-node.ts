// Makes a Debian guest what a machine of tests/nixos-vm is on NixOS: nix evaluates the test with the
// project's own module, and the guest gets the very unit and settings that come out. What Debian has
// no word for, such as the firewall and systemd-resolved, is left out: the guest asks Myco for all
// names.

import { FlakeCopy } from "../nix/flake-copy.ts";
import { ensureNix, NixHost } from "../nix/nix-host.ts";
import { HostLacksError } from "./errors.ts";
import { quoteForShell } from "./guest-recipe.ts";
import type { Machine } from "./machine.ts";
import type { LabContext } from "./script.ts";

/** As the module made them. */
interface NodeParts {
  readonly settings: Readonly<Record<string, unknown>>;
  /** Null where the daemon is not wanted. */
  readonly unit: string | null;
  readonly kernelModules: readonly string[];
  /** Paths below /etc, with the file or folder of the project that belongs there. */
  readonly etc: Readonly<Record<string, string>>;
}

/** By their name. */
export type Nodes = Readonly<Record<string, NodeParts>>;

const NODES = `test: builtins.mapAttrs (_: node: {
  settings = node.services.myco.settings;
  unit = node.systemd.units."myco.service".text or null;
  kernelModules = node.boot.kernelModules;
  etc = builtins.mapAttrs (_: file: toString file.source) (
    removeAttrs node.environment.etc [ "myco/config.yaml" ]
  );
}) test.nodes`;

/** What an earlier script may have left. */
const STATE = [
  ...["/var/lib/myco", "/var/log/myco", "/root/.config/myco"],
  ...["/etc/systemd/system/myco-*", "/run/systemd/system/myco-*"],
];

const GUEST_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";

/** Prepares every machine of a script. Its daemon does not run yet. */
export async function prepareNodes(nodes: Nodes, { machines }: LabContext): Promise<void> {
  await Promise.all(
    Object.entries(nodes).map(([node, parts]) => prepareNode(machines[node]!, parts)),
  );
}

/** @param name of tests/nixos-vm/NAME.nix */
export async function evaluateNodes(name: string): Promise<Nodes> {
  const whyNot = await ensureNix();
  if (whyNot !== null) throw new HostLacksError(["nix"], whyNot);
  const nix = new NixHost();
  try {
    const flake = new FlakeCopy(nix, "flake");
    return JSON.parse(await flake.evaluate(`checks.x86_64-linux.vm-${name}`, NODES));
  } finally {
    nix.close();
  }
}

/** In few commands: each costs an emulated guest half a second. */
async function prepareNode(machine: Machine, parts: NodeParts): Promise<void> {
  const places = Object.keys(parts.etc).map((path) => quoteForShell(`/etc/${path}`));
  await machine.succeed(`systemctl stop myco 'myco-*' 2>/dev/null || true
rm -rf ${STATE.join(" ")} ${places.join(" ")}
${parts.kernelModules.length > 0 ? `modprobe --all ${parts.kernelModules.join(" ")}` : ""}`);
  for (const [path, source] of Object.entries(parts.etc)) {
    await machine.copyFromHost(source.slice(source.indexOf("tests/nixos-vm/")), `/etc/${path}`);
  }
  if (parts.unit === null) return;
  await machine.succeed(
    `groupadd --system --force myco
printf 'nameserver 127.0.0.1\\n' >/etc/resolv.conf
mkdir -p /etc/myco /etc/systemd/system/multi-user.target.wants
printf %s ${quoteForShell(JSON.stringify(parts.settings, null, 2))} >/etc/myco/config.yaml
printf %s ${quoteForShell(unitForDebian(parts.unit))} >/etc/systemd/system/myco.service
ln -sf ../myco.service /etc/systemd/system/multi-user.target.wants/
systemctl daemon-reload`,
  );
}

/** Programs by their name, which systemd finds in the guest. */
function unitForDebian(unit: string): string {
  return unit
    .replaceAll(/^Environment="PATH=.*"$/gm, `Environment="PATH=${GUEST_PATH}"`)
    .replaceAll(/\/nix\/store\/[^/\s"]+\/s?bin\//g, "");
}
