// tests/nixos-vm/upgrade.py, the script of a NixOS test, on Debian.

import { nixosScript } from "../nixos-script.ts";

export default nixosScript(
  "upgrade",
  "NixOS's test script for the state of the version before, on Debian",
  { machine: [1] },
);
