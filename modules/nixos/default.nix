# services.myco: the daemon as a NixOS service.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    mkDefault
    mkEnableOption
    mkIf
    mkOption
    types
    ;
  cfg = config.services.myco;
  inherit (cfg) settings;

  dnsPort = portOf settings.dns.listen;
  listensToNames = settings.mesh.enabled && settings.dns.listen != false;
  runsUnits = settings.engine.kind == "systemd";
  portOf = endpoint: lib.toInt (lib.last (lib.splitString ":" endpoint));
  meshPorts = map portOf settings.listen;

  yaml = (pkgs.formats.yaml { }).generate "myco.yaml" settings;
  # What only the daemon's own code can judge, it judges when the system is built.
  checkedYaml =
    if pkgs.stdenv.buildPlatform.canExecute pkgs.stdenv.hostPlatform then
      pkgs.runCommand "myco-checked.yaml" { nativeBuildInputs = [ cfg.package ]; } ''
        myco config check ${yaml} >/dev/null
        cp ${yaml} $out
      ''
    else
      yaml;

  rates =
    what: default:
    let
      rate =
        description: default:
        mkOption {
          type = types.ints.positive;
          inherit default description;
        };
    in
    {
      min = rate "Lowest ${what} rate, kbit/s." default.min;
      base = rate "The ${what} rate to start at, kbit/s." default.base;
      max = rate "Highest ${what} rate, kbit/s: what the line carries at best." default.max;
    };
  isOrdered = { min, base, max }: min <= base && base <= max;
  describeRates =
    direction:
    { min, base, max }:
    "services.myco.flow.${direction}: min ${toString min}, base ${toString base} and max ${toString max} kbit/s have to be in that order.";

  secretFile =
    description:
    mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "/run/secrets/myco-invitation";
      description = "${description} The path of a file on the machine, which is never copied to the store.";
    };
  secrets = lib.filterAttrs (_: file: file != null) {
    inherit (cfg.mesh) invitationFile keyFile;
  };
in
{
  options.services.myco = {
    enable = mkEnableOption "Myco, the daemon that runs services across machines and keeps a router's line fast";

    package = mkOption {
      type = types.package;
      default = pkgs.callPackage ../../package.nix { };
      defaultText = lib.literalExpression "the flake's packages.myco";
      description = "The package to run.";
    };

    settings = import ./settings-options.nix { inherit lib; };

    mesh = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Take part in a cluster.";
      };
      peers = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "node1.example.org:7946" ];
        description = "Nodes to meet the cluster through, besides those the invitation names.";
      };
      openFirewall = mkOption {
        type = types.bool;
        default = false;
        description = "Open the UDP ports of settings.listen in the firewall.";
      };
      invitationFile = secretFile "The certificate and the cluster's public key, as `myco cluster invite` prints them. With it the machine joins at its first start; without it the service waits until `myco cluster init` or `myco cluster join` has run.";
      keyFile = secretFile "The node's private key, 64 hexadecimal digits, for an invitation that was made for its public key (`--public-key`).";
      zone = mkOption {
        type = types.ints.between 0 255;
        default = 0;
        description = "The zone that this machine's certificate is to name.";
      };
      roles = mkOption {
        type = types.listOf (
          types.enum [
            "member"
            "deployer"
            "router"
          ]
        );
        default = [
          "member"
          "deployer"
        ];
        description = "What this machine's certificate is to allow it.";
      };
      inviteCommand = mkOption {
        type = types.str;
        readOnly = true;
        default = lib.escapeShellArgs [
          "myco"
          "cluster"
          "invite"
          "--zone"
          cfg.mesh.zone
          "--roles"
          (lib.concatStringsSep "," cfg.mesh.roles)
        ];
        description = "The command that, run beside the root key, prints this machine's invitation.";
      };
    };

    flow = {
      enable = mkEnableOption "the flow plane, which steers this machine's line";
      interface = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "wan0";
        description = "The line's interface; null: that of the default route.";
      };
      mode = mkOption {
        type = types.enum [
          "active"
          "shadow"
          "dummy"
        ];
        default = "active";
        description = "active: decide and act; shadow: decide only; dummy: a simulated line.";
      };
      download = rates "download" {
        min = 5000;
        base = 20000;
        max = 80000;
      };
      upload = rates "upload" {
        min = 5000;
        base = 20000;
        max = 35000;
      };
    };

    dns.resolved = mkOption {
      type = types.bool;
      default = config.services.resolved.enable && listensToNames;
      defaultText = lib.literalExpression "config.services.resolved.enable";
      description = "Have systemd-resolved ask Myco for the cluster's names, and for no others.";
    };

    nix.builder = mkOption {
      type = types.bool;
      default = runsUnits && config.nix.enable;
      defaultText = lib.literalExpression "settings.engine.kind == \"systemd\" && config.nix.enable";
      description = "Build flakes of services here; without it only plain commands run.";
    };

    nix.caches = mkOption {
      type = types.attrsOf (types.strMatching "[^: ]+:[A-Za-z0-9+/]{43}=");
      default = { };
      example = lib.literalExpression ''
        { "https://cache.example.org" = "cache.example.org-1:…="; }
      '';
      description = "Binary caches by their address, each with the public key that it signs with. What they have is fetched in place of being built, besides from the caches of nix.settings.";
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = settings.mesh.enabled || settings.flow.enabled;
        message = "services.myco: both planes are off. Set services.myco.mesh.enable or services.myco.flow.enable.";
      }
      {
        assertion = isOrdered settings.flow.download;
        message = describeRates "download" settings.flow.download;
      }
      {
        assertion = isOrdered settings.flow.upload;
        message = describeRates "upload" settings.flow.upload;
      }
      {
        assertion = cfg.mesh.keyFile != null -> cfg.mesh.invitationFile != null;
        message = "services.myco.mesh.keyFile is of use with an invitation only: set services.myco.mesh.invitationFile too.";
      }
      {
        assertion = secrets != { } -> settings.mesh.enabled;
        message = "services.myco.mesh.invitationFile is set, and the mesh is off: set services.myco.mesh.enable or leave the file out.";
      }
      {
        assertion = cfg.mesh.openFirewall -> !(lib.elem 0 meshPorts);
        message = "services.myco.mesh.openFirewall cannot open a port that the system picks: give services.myco.settings.listen real ports.";
      }
      {
        assertion = cfg.dns.resolved -> config.services.resolved.enable && listensToNames;
        message = "services.myco.dns.resolved needs services.resolved.enable, the mesh, and an address in services.myco.settings.dns.listen.";
      }
      {
        assertion = listensToNames && dnsPort == 53 -> !config.services.dnsmasq.enable;
        message = "services.myco: dnsmasq answers at port 53 too. Set services.myco.settings.dns.listen = \"127.0.0.1:5300\", and have dnsmasq ask there for \"${settings.dns.domain}\".";
      }
      {
        assertion = cfg.nix.builder -> config.nix.enable;
        message = "services.myco.nix.builder needs nix.enable.";
      }
      {
        assertion = cfg.nix.caches != { } -> cfg.nix.builder;
        message = "services.myco.nix.caches is of use to a machine that builds: set services.myco.nix.builder.";
      }
    ]
    ++ lib.mapAttrsToList (name: file: {
      assertion = lib.hasPrefix "/" file && !(lib.hasPrefix "${builtins.storeDir}/" file);
      message = "services.myco.mesh.${name} is \"${file}\"; it has to be an absolute path outside of the store, which everybody can read.";
    }) secrets;

    services.myco.settings = {
      peers = cfg.mesh.peers;
      mesh.enabled = mkDefault cfg.mesh.enable;
      engine.kind = mkDefault "systemd";
      flow = {
        enabled = mkDefault cfg.flow.enable;
        mode = mkDefault cfg.flow.mode;
        egressIface = mkDefault cfg.flow.interface;
        download = lib.mapAttrs (_: mkDefault) cfg.flow.download;
        upload = lib.mapAttrs (_: mkDefault) cfg.flow.upload;
      };
    };

    environment.etc."myco/config.yaml".source = checkedYaml;
    environment.systemPackages = [ cfg.package ];
    users.groups.myco = { };

    networking.firewall.allowedUDPPorts = mkIf cfg.mesh.openFirewall meshPorts;

    services.resolved.dnsDelegates = mkIf cfg.dns.resolved {
      myco.Delegate = {
        DNS = settings.dns.listen;
        Domains = "~${settings.dns.domain}";
        DefaultRoute = false;
      };
    };

    boot.kernelModules = mkIf settings.flow.enabled [
      "act_mirred"
      "ifb"
      "nf_conntrack"
      "sch_cake"
    ];

    nix.settings = mkIf (cfg.nix.caches != { }) {
      extra-substituters = lib.attrNames cfg.nix.caches;
      extra-trusted-public-keys = lib.attrValues cfg.nix.caches;
    };

    systemd.services.myco = import ./service.nix {
      inherit
        config
        lib
        pkgs
        secrets
        ;
    };
  };
}
