// tests/nixos-vm/cake.py, the script of a NixOS test, on Debian.

import { runNixosScript } from "../nixos-bridge.ts";
import { prepareNodes } from "../nixos-node.ts";
import { labScript } from "../script.ts";

export default labScript({
  title: "NixOS's test script for a router's line, on Debian",
  machines: { client: { vlans: [1] }, router: { vlans: [1, 2] }, server: { vlans: [2] } },
  myco: true,
  reuse: true,
  limitSeconds: 900,
  async test(lab) {
    await lab.startAll();
    await prepareNodes("cake", lab);
    await runNixosScript("tests/nixos-vm/cake.py", lab);
  },
});
