# The package set: names and builders the project uses. A package that is not named here is missing,
# as a misspelled one is in nixpkgs. What a builder is given is checked, and nothing is built.
{
  lib,
  system,
  overlays,
  packagesFor,
}:
let
  # An empty package of that name, which depends on `inputs`.
  standIn =
    name: attributes:
    let
      outcome = derivation {
        inherit name system;
        builder = "/bin/sh";
        args = [
          "-c"
          "echo stand-in >$out"
        ];
        inputs = attributes.inputs or [ ];
      };
    in
    outcome
    // {
      meta = { };
      overrideAttrs =
        change:
        let
          changed = change attributes;
        in
        standIn (changed.name or name) (attributes // { inputs = builtins.attrValues changed; });
    }
    // removeAttrs attributes [ "inputs" ];

  program = name: mainProgram: standIn name { meta = { inherit mainProgram; }; };

  refuseUnknown =
    what: known: attributes:
    let
      unknown = builtins.filter (name: !(builtins.elem name known)) (builtins.attrNames attributes);
    in
    if unknown == [ ] then
      attributes
    else
      throw "${what}: there is no argument `${builtins.head unknown}'";

  metaKeys = [
    "description"
    "homepage"
    "license"
    "mainProgram"
    "maintainers"
    "platforms"
  ];

  phases = [
    "preBuild"
    "postBuild"
    "installPhase"
    "preInstall"
    "postInstall"
    "installCheckPhase"
    "postPatch"
    "postFixup"
  ];

  platform = {
    inherit system;
    isx86_64 = system == "x86_64-linux";
    isAarch64 = system == "aarch64-linux";
    canExecute = other: other.system == system;
  };

  base = final: {
    inherit lib system;
    extend = overlay: packagesFor system (overlays ++ [ overlay ]);
    callPackage =
      file: overrides:
      let
        function = if builtins.isFunction file then file else import file;
        wanted = builtins.functionArgs function;
        missing = builtins.filter (name: !wanted.${name} && !(final ? ${name}) && !(overrides ? ${name})) (
          builtins.attrNames wanted
        );
      in
      if missing == [ ] then
        function (builtins.intersectAttrs wanted final // overrides)
      else
        throw "callPackage: ${toString file} asks for `${builtins.head missing}', which is no package";

    stdenv = {
      hostPlatform = platform;
      buildPlatform = platform;
    };

    buildNpmPackage =
      attributes:
      let
        checked = refuseUnknown "buildNpmPackage" (
          [
            "pname"
            "version"
            "src"
            "npmDeps"
            "npmConfigHook"
            "npmBuildScript"
            "npmFlags"
            "npmInstallFlags"
            "nativeBuildInputs"
            "buildInputs"
            "nodejs"
            "dontPatchShebangs"
            "doInstallCheck"
            "passthru"
            "meta"
            "env"
          ]
          ++ phases
        ) attributes;
        meta = refuseUnknown "meta" metaKeys (checked.meta or { });
      in
      if checked.npmConfigHook != final.importNpmLock.npmConfigHook then
        throw "buildNpmPackage: dependencies of importNpmLock need its own npmConfigHook"
      else
        standIn "${checked.pname}-${checked.version}" {
          inherit (checked) pname version;
          inherit meta;
          arguments = checked;
          inputs = map (input: input.outPath or input) (
            [
              checked.src
              checked.npmDeps
            ]
            ++ checked.nativeBuildInputs or [ ]
          );
          shellText = lib.concatMapStringsSep "\n" (phase: checked.${phase} or "") phases;
        };

    importNpmLock = {
      npmConfigHook = standIn "npm-config-hook" { };
      __functor =
        _:
        { npmRoot }:
        let
          lock = lib.importJSON (npmRoot + "/package-lock.json");
          entries = removeAttrs lock.packages [ "" ];
          bare = builtins.filter (name: !(entries.${name} ? resolved && entries.${name} ? integrity)) (
            builtins.attrNames entries
          );
        in
        if bare == [ ] then
          standIn "npm-sources" { }
        else
          throw "importNpmLock: ${builtins.head bare} has no `resolved' or no `integrity'";
    };

    runCommand =
      name: attributes: text:
      standIn name {
        inputs = [
          text
          (builtins.attrValues (removeAttrs attributes [ "nativeBuildInputs" ]))
          (attributes.nativeBuildInputs or [ ])
        ];
        inherit text;
      };
    writeText = name: text: standIn name { inherit text; inputs = [ text ]; };
    writeShellScript = name: text: standIn name { inherit text; inputs = [ text ]; };
    writeShellApplication =
      attributes:
      let
        checked = refuseUnknown "writeShellApplication" [
          "name"
          "text"
          "runtimeInputs"
          "meta"
        ] attributes;
      in
      standIn checked.name {
        meta.mainProgram = checked.name;
        inherit (checked) text;
        inputs = [
          checked.text
          (checked.runtimeInputs or [ ])
        ];
      };
    mkShell =
      attributes:
      let
        checked = refuseUnknown "mkShell" [
          "name"
          "packages"
          "shellHook"
          "inputsFrom"
        ] attributes;
      in
      standIn "shell" { inputs = checked.packages or [ ]; };

    formats.yaml =
      { }:
      {
        type = lib.types.attrs;
        generate = name: value: standIn name { text = builtins.toJSON value; inputs = [ (builtins.toJSON value) ]; };
      };

    testers.runNixOSTest = import ./nixos-test.nix { inherit lib packagesFor system standIn; };
  };

  programs = {
    bash = "bash";
    conntrack-tools = "conntrack";
    coreutils = "coreutils";
    curl = "curl";
    fping = "fping";
    git = "git";
    gnugrep = "grep";
    iperf3 = "iperf3";
    iproute2 = "ip";
    iputils = "ping";
    jq = "jq";
    kmod = "modprobe";
    makeWrapper = "makeWrapper";
    mmdebstrap = "mmdebstrap";
    nftables = "nft";
    nix = "nix";
    nixfmt-tree = "treefmt";
    nodejs = "node";
    python3 = "python3";
    qemu = "qemu-system-x86_64";
    shellcheck = "shellcheck";
    systemd = "systemctl";
    tcpdump = "tcpdump";
    util-linux = "fallocate";
  };

  self = builtins.foldl' (previous: overlay: previous // overlay self previous) (
    base self // builtins.mapAttrs program programs
  ) overlays;
in
self
