{
  description = "Myco: one daemon for a router that keeps its line fast and a handful of machines that act as one";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";
    # Its files are called directly; its own inputs are not needed.
    openwrt-imagebuilder = {
      url = "github:astro/nix-openwrt-imagebuilder";
      flake = false;
    };
  };

  outputs =
    {
      self,
      nixpkgs,
      openwrt-imagebuilder,
    }:
    let
      inherit (nixpkgs) lib;
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEachSystem = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      nixos =
        module:
        lib.nixosSystem {
          modules = [
            self.nixosModules.default
            module
          ];
        };
    in
    {
      packages = forEachSystem (pkgs: rec {
        myco = pkgs.callPackage ./package.nix { };
        default = myco;
      });

      apps = forEachSystem (pkgs: {
        demo = {
          type = "app";
          program = "${self.packages.${pkgs.stdenv.hostPlatform.system}.myco}/bin/myco-demo";
          meta.description = "Three daemons on this machine: deploy, fail over, steer a simulated line";
        };
      });

      overlays.default = final: _: { myco = final.callPackage ./package.nix { }; };

      nixosModules = rec {
        myco.imports = [ ./modules/nixos ];
        default = myco;
      };

      nixosConfigurations = {
        server = nixos ./images/nixos-server.nix;
        router = nixos ./images/nixos-router.nix;
      };

      checks = forEachSystem (
        pkgs:
        import ./tests/nixos-vm/checks.nix {
          inherit self pkgs lib;
        }
      );

      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          packages = with pkgs; [
            fping
            iproute2
            nix
            nodejs
            shellcheck
          ];
        };
      });

      formatter = forEachSystem (pkgs: pkgs.nixfmt-tree);

      # Not among the packages: the image builder reads package lists while it evaluates.
      legacyPackages.x86_64-linux.openwrt = import ./images/openwrt.nix {
        inherit lib;
        pkgs = nixpkgs.legacyPackages.x86_64-linux;
        inherit (self.packages.x86_64-linux) myco;
        imageBuilder = openwrt-imagebuilder;
      };
    };
}
