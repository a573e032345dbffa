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

const NODES = `test: builtins.mapAttrs (_: node: {
  settings = node.services.myco.settings;
  unit = node.systemd.units."myco.service".text or null;
  kernelModules = node.boot.kernelModules;
  etc = builtins.mapAttrs (_: file: toString file.source) (
    removeAttrs node.environment.etc [ "myco/config.yaml" ]
  );
}) test.nodes`;

const GUEST_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin";

/** Prepares every machine of a script. Its daemon does not run yet. */
export async function prepareNodes(name: string, { machines }: LabContext): Promise<void> {
  const nodes = await evaluateNodes(name);
  await Promise.all(
    Object.entries(nodes).map(([node, parts]) => prepareNode(machines[node]!, parts)),
  );
}

async function evaluateNodes(name: string): Promise<Readonly<Record<string, NodeParts>>> {
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

async function prepareNode(machine: Machine, parts: NodeParts): Promise<void> {
  await machine.execute("systemctl stop myco 'myco-*'");
  await machine.succeed(
    "rm -rf /var/lib/myco /var/log/myco /root/.config/myco /etc/systemd/system/myco-*",
  );
  if (parts.kernelModules.length > 0) {
    await machine.succeed(`modprobe --all ${parts.kernelModules.join(" ")}`);
  }
  for (const [path, source] of Object.entries(parts.etc)) {
    await machine.succeed(`rm -rf ${quoteForShell(`/etc/${path}`)}`);
    await machine.copyFromHost(source.slice(source.indexOf("tests/nixos-vm/")), `/etc/${path}`);
  }
  if (parts.unit === null) return;
  await write(machine, "/etc/myco/config.yaml", JSON.stringify(parts.settings, null, 2));
  await write(machine, "/etc/systemd/system/myco.service", unitForDebian(parts.unit));
  await machine.succeed(
    `groupadd --system --force myco
printf 'nameserver 127.0.0.1\\n' >/etc/resolv.conf
mkdir -p /etc/systemd/system/multi-user.target.wants
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

async function write(machine: Machine, path: string, text: string): Promise<void> {
  const folder = quoteForShell(path.slice(0, path.lastIndexOf("/")));
  await machine.succeed(`mkdir -p ${folder} && cat >${quoteForShell(path)}`, {
    input: Buffer.from(text),
  });
}
