// tests/nixos-vm/cake.py, the script of a NixOS test, on Debian.

import { nixosScript } from "../nixos-script.ts";

export default nixosScript("cake", "NixOS's test script for a router's line, on Debian", {
  client: [1],
  router: [1, 2],
  server: [2],
});
