# lib.nixosSystem: the options of NixOS that the project's modules touch, with NixOS's types, and a
# system that is made of them once every assertion holds.
{ lib, packagesFor }:
{
  modules,
  specialArgs ? { },
  system ? null,
}:
let
  inherit (lib) mkOption types;

  option =
    type: default:
    mkOption {
      inherit type default;
    };
  switch = option types.bool false;
  strings = option (types.listOf types.str) [ ];
  group = options: types.submodule { inherit options; };
  unitValue = types.oneOf [
    types.bool
    types.int
    types.str
    types.path
    types.package
    (types.listOf (
      types.oneOf [
        types.str
        types.path
        types.package
      ]
    ))
  ];
  settings = option (types.attrsOf unitValue) { };

  imageVariants = [
    "iso-installer"
    "qemu"
    "raw"
    "raw-efi"
    "sd-card"
  ];

  systemOptions = {
    options = {
      assertions = option (types.listOf (group {
        assertion = mkOption { type = types.bool; };
        message = mkOption { type = types.str; };
      })) [ ];
      warnings = strings;

      nixpkgs = {
        hostPlatform = mkOption { type = types.str; };
        overlays = option (types.listOf types.unspecified) [ ];
      };

      boot = {
        kernelModules = strings;
        kernelParams = strings;
        kernel.sysctl = option (types.attrsOf (types.either types.bool (types.either types.int types.str))) { };
        loader = {
          grub.enable = option types.bool true;
          grub.device = option types.str "";
          systemd-boot.enable = switch;
          efi.canTouchEfiVariables = switch;
        };
      };
      fileSystems = option (types.attrsOf (group {
        device = option (types.nullOr types.str) null;
        label = option (types.nullOr types.str) null;
        fsType = option types.str "auto";
        options = option (types.listOf types.str) [ "defaults" ];
      })) { };
      swapDevices = option (types.listOf types.attrs) [ ];

      environment = {
        systemPackages = option (types.listOf types.package) [ ];
        etc = option (types.attrsOf (group {
          enable = option types.bool true;
          text = option (types.nullOr types.lines) null;
          source = option (types.nullOr types.path) null;
          mode = option types.str "symlink";
          user = option types.str "+0";
          group = option types.str "+0";
        })) { };
      };

      networking = {
        hostName = option (types.strMatching "|[[:alnum:]]([[:alnum:]_-]{0,61}[[:alnum:]])?") "nixos";
        useDHCP = option types.bool true;
        useNetworkd = switch;
        nameservers = strings;
        firewall = {
          enable = option types.bool true;
          allowedTCPPorts = option (types.listOf types.port) [ ];
          allowedUDPPorts = option (types.listOf types.port) [ ];
          trustedInterfaces = strings;
        };
        nat = {
          enable = switch;
          externalInterface = option (types.nullOr types.str) null;
          internalInterfaces = strings;
        };
        interfaces = option (types.attrsOf (group {
          useDHCP = option (types.nullOr types.bool) null;
          ipv4.addresses = option (types.listOf (group {
            address = mkOption { type = types.str; };
            prefixLength = mkOption { type = types.ints.between 0 32; };
          })) [ ];
        })) { };
        nftables.enable = switch;
      };

      nix = {
        enable = option types.bool true;
        package = option types.package config.nixpkgs.evaluated.nix;
        settings = option (types.attrsOf types.unspecified) { };
      };
      nixpkgs.evaluated = option types.unspecified pkgs;

      security.sudo.enable = option types.bool true;
      services = {
        resolved = {
          enable = switch;
          dnsDelegates = option (types.attrsOf (group {
            Delegate = settings;
          })) { };
        };
        dnsmasq = {
          enable = switch;
          settings = option (types.attrsOf types.unspecified) { };
        };
        openssh = {
          enable = switch;
          openFirewall = option types.bool true;
          settings = option (types.attrsOf types.unspecified) { };
        };
      };
      time.timeZone = option (types.nullOr types.str) null;
      users = {
        groups = option (types.attrsOf (group {
          gid = option (types.nullOr types.int) null;
          members = strings;
        })) { };
        users = option (types.attrsOf (group {
          isNormalUser = switch;
          isSystemUser = switch;
          group = option types.str "";
          extraGroups = strings;
          initialPassword = option (types.nullOr types.str) null;
          openssh.authorizedKeys.keys = strings;
        })) { };
      };

      systemd = {
        services = option (types.attrsOf (types.submodule ./systemd-service.nix)) { };
        tmpfiles.rules = strings;
        # Made from the services; read by tests and checks.
        units = mkOption {
          type = types.attrsOf types.attrs;
          readOnly = true;
          default = lib.mapAttrs' (
            name: service:
            lib.nameValuePair "${name}.service" {
              inherit (service) text;
              unit = pkgs.runCommand "unit-${name}" { } service.text;
            }
          ) config.systemd.services;
        };
      };

      virtualisation = {
        vlans = option (types.listOf types.ints.unsigned) [ 1 ];
        memorySize = option types.ints.positive 1024;
        cores = option types.ints.positive 1;
        diskSize = option types.ints.positive 1024;
      };

      image.modules = option (types.attrsOf types.deferredModule) { };

      system = {
        stateVersion = mkOption { type = types.strMatching "[0-9][0-9]\\.[0-9][0-9]"; };
        build = option (types.attrsOf types.unspecified) { };
      };
    };

    config.system.build = {
      inherit toplevel;
      images = builtins.mapAttrs (
        variant: module: (extend [ module ]).config.system.build.toplevel
      ) (lib.genAttrs imageVariants (_: { }) // checkedImages);
    };
  };

  checkedImages =
    let
      unknown = builtins.filter (name: !(builtins.elem name imageVariants)) (
        builtins.attrNames config.image.modules
      );
    in
    if unknown == [ ] then
      config.image.modules
    else
      throw "image.modules: there is no variant `${builtins.head unknown}'";

  failed = builtins.filter (one: !one.assertion) config.assertions;
  missingRoot = !(config.fileSystems ? "/");
  failures =
    map (one: one.message) failed
    ++ lib.optional missingRoot "The ‘fileSystems’ option does not specify your root file system.";

  # Everything that was set, so that nothing stays unlooked at.
  everything = removeAttrs config [
    "system"
    "nixpkgs"
    "image"
  ];

  toplevel =
    if failures != [ ] then
      throw "Failed assertions:\n${lib.concatMapStringsSep "\n" (message: "- ${message}") failures}"
    else
      builtins.deepSeq [
        everything
        config.system.stateVersion
      ] (
        pkgs.runCommand "nixos-system-${config.networking.hostName}" { } (
          lib.concatMapStringsSep "\n" (unit: unit.text) (builtins.attrValues config.systemd.units)
        )
      );

  pkgs = packagesFor config.nixpkgs.hostPlatform config.nixpkgs.overlays;

  extend =
    more:
    import ./nixos.nix { inherit lib packagesFor; } {
      modules = modules ++ more;
      inherit specialArgs system;
    };

  evaluated = lib.evalModules {
    modules = modules ++ [
      systemOptions
      (if system == null then { } else { nixpkgs.hostPlatform = lib.mkDefault system; })
    ];
    specialArgs = {
      inherit pkgs;
    }
    // specialArgs;
  };
  inherit (evaluated) config;
in
{
  inherit (evaluated) config options;
  inherit pkgs;
  type = "configuration";
}
