# systemd.services.NAME: NixOS's options for a service, and the unit's text that they come to.
{
  config,
  lib,
  name,
  ...
}:
let
  inherit (lib) mkOption types;
  option =
    type: default:
    mkOption {
      inherit type default;
    };
  strings = option (types.listOf types.str) [ ];
  value = types.oneOf [
    types.bool
    types.int
    types.str
    types.path
    types.package
    (types.listOf (
      types.oneOf [
        types.int
        types.str
        types.path
        types.package
      ]
    ))
  ];

  showValue = found: if builtins.isBool found then (if found then "true" else "false") else toString found;
  lines =
    settings:
    lib.concatStrings (
      lib.mapAttrsToList (
        key: found:
        lib.concatMapStringsSep "" (one: "${key}=${showValue one}\n") (
          if builtins.isList found then found else [ found ]
        )
      ) settings
    );
  list = key: found: lib.optionalAttrs (found != [ ]) { ${key} = builtins.concatStringsSep " " found; };
  quote = text: "\"${builtins.replaceStrings [ "\\" "\"" "%" ] [ "\\\\" "\\\"" "%%" ] text}\"";
  path = lib.concatMapStringsSep ":" (package: "${package}/bin:${package}/sbin") config.path;
in
{
  options = {
    enable = option types.bool true;
    description = option types.singleLineStr "";
    documentation = strings;
    after = strings;
    before = strings;
    wants = strings;
    requires = strings;
    wantedBy = strings;
    restartIfChanged = option types.bool true;
    stopIfChanged = option types.bool true;
    reloadTriggers = option (types.listOf types.unspecified) [ ];
    restartTriggers = option (types.listOf types.unspecified) [ ];
    startLimitIntervalSec = option (types.nullOr types.int) null;
    startLimitBurst = option (types.nullOr types.int) null;
    path = option (types.listOf (types.either types.package types.str)) [ ];
    environment = option (types.attrsOf (types.nullOr (types.oneOf [
      types.str
      types.path
      types.package
    ]))) { };
    unitConfig = option (types.attrsOf value) { };
    serviceConfig = option (types.attrsOf value) { };
    preStart = option types.lines "";
    text = mkOption {
      type = types.str;
      readOnly = true;
      default = ''
        [Unit]
        ${lines (
          lib.optionalAttrs (config.description != "") { Description = config.description; }
          // list "Documentation" config.documentation
          // list "After" config.after
          // list "Before" config.before
          // list "Wants" config.wants
          // list "Requires" config.requires
          // lib.optionalAttrs (config.startLimitIntervalSec != null) {
            StartLimitIntervalSec = config.startLimitIntervalSec;
          }
          // lib.optionalAttrs (config.startLimitBurst != null) { StartLimitBurst = config.startLimitBurst; }
          // config.unitConfig
        )}
        [Service]
        ${lib.concatStrings (
          lib.mapAttrsToList (key: found: "Environment=${quote "${key}=${found}"}\n") (
            lib.filterAttrs (_: found: found != null) config.environment
          )
        )}Environment=${quote "PATH=${path}"}
        ${lib.optionalString (
          config.preStart != ""
        ) "ExecStartPre=/bin/sh -e ${builtins.toFile "${name}-pre-start" (builtins.unsafeDiscardStringContext config.preStart)}\n"}${lines config.serviceConfig}'';
    };
  };
}
