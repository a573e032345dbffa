# What `nix flake check` builds: the package, the VM tests, and the unit's verification.
{
  self,
  lib,
  pkgs,
}:
let
  vmTest = file: pkgs.testers.runNixOSTest {
    imports = [ file ];
    defaults = {
      imports = [ self.nixosModules.default ];
      services.myco.package = self.packages.${pkgs.stdenv.hostPlatform.system}.myco;
    };
  };

  # A misspelled key is a line on standard error, and exit code 0.
  verifyUnit =
    name: configuration: exposureMax:
    pkgs.runCommand "myco-unit-${name}" { nativeBuildInputs = [ pkgs.systemd ]; } ''
      cp ${configuration.config.systemd.units."myco.service".unit}/myco.service .
      systemd-analyze verify --man=no ./myco.service 2>complaints || true
      if [ -s complaints ]; then cat complaints; exit 1; fi
      systemd-analyze security --offline=true --threshold=${toString exposureMax} ./myco.service
      touch $out
    '';

  evaluated = name: configuration: pkgs.writeText "myco-${name}" (
    builtins.unsafeDiscardStringContext configuration.config.system.build.toplevel.drvPath
  );
in
{
  package = self.packages.${pkgs.stdenv.hostPlatform.system}.myco;
  module-server = evaluated "server" self.nixosConfigurations.server;
  module-router = evaluated "router" self.nixosConfigurations.router;
  unit-server = verifyUnit "server" self.nixosConfigurations.server 30;
  unit-router = verifyUnit "router" self.nixosConfigurations.router 40;
}
// lib.genAttrs [ "vm-gossip" "vm-systemd" "vm-cake" "vm-dns" "vm-upgrade" ] (
  name: vmTest (./. + "/${lib.removePrefix "vm-" name}.nix")
)
