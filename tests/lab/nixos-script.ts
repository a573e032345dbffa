// A script of tests/nixos-vm as a lab script: its machines are containers in one guest, which all
// these scripts share.

import { inContainers, unplugAll } from "./containers.ts";
import { runNixosScript } from "./nixos-bridge.ts";
import { evaluateNodes, prepareNodes } from "./nixos-node.ts";
import { type LabScript, labScript } from "./script.ts";

/**
 * @param name of tests/nixos-vm/NAME.nix and NAME.py
 * @param vlansByMachine as the NixOS test has them
 */
export function nixosScript(
  name: string,
  title: string,
  vlansByMachine: Readonly<Record<string, readonly number[]>>,
): LabScript<"guest"> {
  return labScript({
    title,
    machines: { guest: { clock: "instructions" } },
    myco: true,
    reuse: true,
    limitSeconds: 1800,
    async test(guest) {
      const lab = inContainers(guest, vlansByMachine);
      await unplugAll(guest.machines.guest);
      const [nodes] = await Promise.all([evaluateNodes(name), lab.startAll()]);
      await prepareNodes(nodes, lab);
      await runNixosScript(`tests/nixos-vm/${name}.py`, lab);
    },
  });
}
