{ packages2nix, writeText }: writeText "call-packages2nix" "${packages2nix}"
