// tests/nixos-vm/systemd.py, the script of a NixOS test, on Debian.

import { nixosScript } from "../nixos-script.ts";

export default nixosScript("systemd", "NixOS's test script for services as units, on Debian", {
  alice: [1],
  bob: [1],
  carol: [1],
});
