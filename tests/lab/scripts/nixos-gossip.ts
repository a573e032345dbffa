// tests/nixos-vm/gossip.py, the script of a NixOS test, on Debian.

import { nixosScript } from "../nixos-script.ts";

export default nixosScript(
  "gossip",
  "NixOS's test script for three nodes that part and meet, on Debian",
  { alice: [1], bob: [1], carol: [1] },
);
