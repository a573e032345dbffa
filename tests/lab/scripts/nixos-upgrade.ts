// tests/nixos-vm/upgrade.py, the script of a NixOS test, on Debian.

import { runNixosScript } from "../nixos-bridge.ts";
import { prepareNodes } from "../nixos-node.ts";
import { labScript } from "../script.ts";

export default labScript({
  title: "NixOS's test script for the state of the version before, on Debian",
  machines: { machine: { vlans: [1] } },
  myco: true,
  reuse: true,
  limitSeconds: 900,
  async test(lab) {
    await lab.startAll();
    await prepareNodes("upgrade", lab);
    await runNixosScript("tests/nixos-vm/upgrade.py", lab);
  },
});
