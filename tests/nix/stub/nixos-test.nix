# testers.runNixOSTest: every node of a test becomes a NixOS configuration, in which all is evaluated.
{
  lib,
  packagesFor,
  system,
  standIn,
}:
test:
let
  inherit (lib) mkOption types;
  evalNode =
    name: module:
    import ./nixos.nix { inherit lib packagesFor; } {
      modules = [
        evaluated.config.defaults
        module
        {
          nixpkgs.hostPlatform = lib.mkDefault system;
          networking.hostName = lib.mkDefault name;
          system.stateVersion = lib.mkDefault "26.05";
          fileSystems."/".device = "/dev/vda";
        }
      ];
    };
  evaluated = lib.evalModules {
    modules = [
      test
      {
        options = {
          name = mkOption { type = types.str; };
          nodes = mkOption {
            type = types.attrsOf types.deferredModule;
            apply = builtins.mapAttrs (name: module: (evalNode name module).config);
          };
          defaults = mkOption {
            type = types.deferredModule;
            default = { };
          };
          testScript = mkOption { type = types.str; };
          globalTimeout = mkOption {
            type = types.ints.positive;
            default = 3600;
          };
        };
      }
    ];
  };
  inherit (evaluated) config;
in
standIn "vm-test-run-${config.name}" {
  inherit (config) nodes testScript;
  inputs = [
    config.testScript
    (lib.mapAttrsToList (_: node: "${node.system.build.toplevel}") config.nodes)
  ];
}
