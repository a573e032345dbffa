# systemd.services.myco: how the daemon runs. It stays root, because systemd and tc obey nobody else,
# and loses every capability that its planes do not need.
{
  config,
  lib,
  pkgs,
  secrets,
}:
let
  inherit (lib) optional optionals optionalString;
  cfg = config.services.myco;
  inherit (cfg) settings;
  hasFlow = settings.flow.enabled;

  stateRoot = "/var/lib/";
  isState = lib.hasPrefix stateRoot settings.dataDir;
  myco = lib.getExe cfg.package;
  words = lib.concatStringsSep " ";
in
{
  description = "Myco: keeps the line fast, and a handful of machines one";
  wantedBy = [ "multi-user.target" ];
  after = [
    "network.target"
    "nix-daemon.socket"
  ];
  restartTriggers = [ config.environment.etc."myco/config.yaml".source ];

  startLimitIntervalSec = 0;

  # Not a failure: the machine is in no cluster yet.
  unitConfig = lib.optionalAttrs (settings.mesh.enabled && secrets == { }) {
    ConditionPathExists = "${settings.dataDir}/node.cert";
  };

  # Systemd's own programs come with every unit, those of the flow plane with the package.
  path = [
    pkgs.bash
    pkgs.util-linux
  ]
  ++ optionals cfg.nix.builder [
    config.nix.package
    pkgs.git
  ];

  preStart = optionalString (secrets != { }) ''
    if [ ! -e ${settings.dataDir}/node.cert ]; then
      umask 077
    ${optionalString (secrets ? keyFile) ''
      cat "$CREDENTIALS_DIRECTORY/keyFile" >${settings.dataDir}/node.key
    ''}  ${myco} cluster join - <"$CREDENTIALS_DIRECTORY/invitationFile"
    fi
  '';

  # The reasons are beside the same lines in modules/systemd/myco.service.
  serviceConfig = {
    Type = "notify";
    NotifyAccess = "all";
    ExecStart = "${myco} daemon";
    ExecReload = "${pkgs.coreutils}/bin/kill -HUP $MAINPID";
    KillMode = "mixed";
    TimeoutStartSec = "3min";
    TimeoutStopSec = "30s";
    WatchdogSec = "30s";
    WatchdogSignal = "SIGKILL";
    Restart = "always";
    RestartSec = "1s";
    RestartSteps = 6;
    RestartMaxDelaySec = "60s";
    RestartPreventExitStatus = 2;

    MemoryMax = "64M";
    TasksMax = 128;
    OOMPolicy = "continue";
    OOMScoreAdjust = -500;

    Group = "myco";
    UMask = "0077";
    StateDirectoryMode = "0700";
    LogsDirectory = "myco";
    RuntimeDirectory = "myco";
    ConfigurationDirectory = "myco";

    CapabilityBoundingSet = words (
      optionals hasFlow [
        "CAP_NET_ADMIN"
        "CAP_NET_RAW"
      ]
      ++ [ "CAP_NET_BIND_SERVICE" ]
      ++ optionals hasFlow [
        "CAP_SETUID"
        "CAP_SETGID"
        "CAP_KILL"
      ]
    );
    NoNewPrivileges = true;
    ProtectSystem = "strict";
    ReadWritePaths = words (
      [
        "-/etc/systemd/system"
        "/run/systemd/system"
      ]
      ++ optional (!isState) settings.dataDir
    );
    ProtectHome = true;
    PrivateTmp = true;
    DevicePolicy = "closed";
    ProtectClock = true;
    ProtectControlGroups = true;
    ProtectHostname = true;
    ProtectKernelLogs = true;
    ProtectKernelModules = true;
    RestrictAddressFamilies = words (
      [
        "AF_UNIX"
        "AF_INET"
        "AF_INET6"
        "AF_NETLINK"
      ]
      ++ optional hasFlow "AF_PACKET"
    );
    RestrictNamespaces = true;
    RestrictRealtime = true;
    RestrictSUIDSGID = true;
    LockPersonality = true;
    SystemCallArchitectures = "native";
    SystemCallFilter = "@system-service";
    SystemCallErrorNumber = "EPERM";
  }
  // lib.optionalAttrs (!hasFlow) { ProtectKernelTunables = true; }
  // lib.optionalAttrs (secrets != { }) {
    LoadCredential = lib.mapAttrsToList (name: file: "${name}:${file}") secrets;
  }
  // lib.optionalAttrs isState {
    StateDirectory = lib.removePrefix stateRoot settings.dataDir;
  };
}
