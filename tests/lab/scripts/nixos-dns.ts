// tests/nixos-vm/dns.py, the script of a NixOS test, on Debian.

import { runNixosScript } from "../nixos-bridge.ts";
import { prepareNodes } from "../nixos-node.ts";
import { labScript } from "../script.ts";

export default labScript({
  title: "NixOS's test script for names, on Debian",
  machines: { machine: { vlans: [1], clock: "instructions" } },
  myco: true,
  reuse: true,
  limitSeconds: 1800,
  async test(lab) {
    await lab.startAll();
    await prepareNodes("dns", lab);
    await runNixosScript("tests/nixos-vm/dns.py", lab);
  },
});
