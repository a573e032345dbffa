// tests/nixos-vm/systemd.py, the script of a NixOS test, on Debian.

import { runNixosScript } from "../nixos-bridge.ts";
import { prepareNodes } from "../nixos-node.ts";
import { labScript } from "../script.ts";

export default labScript({
  title: "NixOS's test script for services as units, on Debian",
  machines: { alice: { vlans: [1] }, bob: { vlans: [1] }, carol: { vlans: [1] } },
  myco: true,
  reuse: true,
  limitSeconds: 900,
  async test(lab) {
    await lab.startAll();
    await prepareNodes("systemd", lab);
    await runNixosScript("tests/nixos-vm/systemd.py", lab);
  },
});
