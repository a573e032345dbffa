# A stand-in for nixpkgs: as much of its interface as this project's flake uses, strict where
# nixpkgs is strict. It evaluates without network and builds nothing worth running.
{
  description = "A stand-in for nixpkgs, to evaluate the flake offline";

  outputs =
    { self }:
    let
      lib = import ./lib.nix;
      packagesFor =
        system: overlays:
        import ./packages.nix {
          inherit
            lib
            system
            overlays
            packagesFor
            ;
        };
    in
    {
      lib = lib // {
        nixosSystem = arguments: import ./nixos.nix { inherit lib packagesFor; } arguments;
      };
      legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: packagesFor system [ ]);
    };
}
