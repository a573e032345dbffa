{ writeText }: writeText "packages2nix" ""
