// tests/nixos-vm/dns.py, the script of a NixOS test, on Debian.

import { nixosScript } from "../nixos-script.ts";

export default nixosScript("dns", "NixOS's test script for names, on Debian", { machine: [1] });
