# Made from src/schema/configuration.ts: `npx vitest run --project unit tests/nix/settings-options.test.ts -u`.
{ lib }:
let
  inherit (lib) mkOption types;
in
{
  dataDir = mkOption {
    type = types.str;
    default = "/var/lib/myco";
    description = "Folder of the node's key, certificate and log.";
  };
  socket = mkOption {
    type = types.str;
    default = "/run/myco/myco.sock";
    description = "The unix socket of the API.";
  };
  listen = mkOption {
    type = types.listOf types.str;
    default = [ "0.0.0.0:7946" "[::]:7946" ];
    description = "Addresses and UDP ports the mesh listens on; port 0: one the system picks.";
  };
  advertise = mkOption {
    type = types.listOf types.str;
    default = [ ];
    description = "Where other nodes reach this one, best first; empty: found out from the interfaces.";
  };
  hostname = mkOption {
    type = types.nullOr types.str;
    default = null;
    description = "The node's name for people; null: the machine's own.";
  };
  peers = mkOption {
    type = types.listOf types.str;
    default = [ ];
    description = "Nodes to meet the cluster through, as HOST:PORT.";
  };
  labels = mkOption {
    type = types.attrsOf types.str;
    default = { };
    description = "Labels that services can ask for, by name.";
  };
  devices = mkOption {
    type = types.listOf types.str;
    default = [ ];
    description = "Device paths that services can ask for.";
  };
  memory = mkOption {
    type = types.nullOr types.str;
    default = null;
    description = "Memory offered to services, such as \"4G\"; null: the machine's own.";
  };
  dns = {
    listen = mkOption {
      type = types.oneOf [ (types.enum [ false ]) types.str ];
      default = "127.0.0.1:53";
      description = "The address and UDP port that answers names of the cluster; false: none.";
    };
    ttlSeconds = mkOption {
      type = types.ints.between 0 3600;
      default = 5;
      description = "Seconds an answer may be kept.";
    };
    domain = mkOption {
      type = types.str;
      default = "myco";
      description = "The domain names of the cluster end in.";
    };
  };
  engine = {
    kind = mkOption {
      type = types.enum [ "embedded" "systemd" "none" ];
      default = "embedded";
      description = "What runs services here: systemd (hardened units, flakes built by nix), embedded (plain commands as child processes of the daemon) or none.";
    };
    maxConcurrentStarts = mkOption {
      type = types.ints.between 1 16;
      default = 2;
      description = "Services that may be starting at a time.";
    };
    stableWait = mkOption {
      type = types.str;
      default = "2s";
      description = "Time a placement must stand before a service moves here.";
    };
    workDir = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "Folder of the services' own folders and logs; null: work in dataDir.";
    };
    address = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The IP address services are asked to listen on (MYCO_ADDRESS) and are checked at; null: that of the first endpoint the node is reached at.";
    };
    secretsDir = mkOption {
      type = types.str;
      default = "/etc/myco/secrets";
      description = "Folder of the files that services name as secrets and environment files.";
    };
    auditLog = mkOption {
      type = types.str;
      default = "/var/log/myco/audit.log";
      description = "File with one line for each deployment that went live here.";
    };
    buildTimeout = mkOption {
      type = types.str;
      default = "1h";
      description = "Time a build may take.";
    };
    reserve = mkOption {
      type = types.oneOf [ (types.enum [ 0 ]) (types.enum [ "0" ]) types.str ];
      default = "500M";
      description = "Disk space held back for the day the disk is full; 0: none.";
    };
    collectAbovePercent = mkOption {
      type = types.ints.between 50 99;
      default = 85;
      description = "How full the nix store's disk is when what nothing uses any more is deleted.";
    };
  };
  log = {
    level = mkOption {
      type = types.enum [ "trace" "debug" "info" "warn" "error" "fatal" ];
      default = "info";
      description = "The least a message must matter to be written.";
    };
    format = mkOption {
      type = types.enum [ "json" "pretty" ];
      default = "json";
      description = "json: one object a line; pretty: for people.";
    };
  };
  mesh = {
    enabled = mkOption {
      type = types.bool;
      default = true;
      description = "Take part in a cluster; false: no identity is needed, and only the flow plane runs.";
    };
  };
  flow = {
    enabled = mkOption {
      type = types.bool;
      default = false;
      description = "Steer this machine's line.";
    };
    mode = mkOption {
      type = types.enum [ "active" "shadow" "dummy" ];
      default = "active";
      description = "active: decide and act; shadow: sense and decide, touch nothing; dummy: decide on a simulated line.";
    };
    egressIface = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "The line's interface; null: that of the default route.";
    };
    ingress = mkOption {
      type = types.bool;
      default = true;
      description = "Shape downloads too, through an IFB.";
    };
    download = {
      min = mkOption {
        type = types.ints.between 100 10000000;
        default = 5000;
        description = "Never below this rate, kbit/s.";
      };
      base = mkOption {
        type = types.ints.between 100 10000000;
        default = 20000;
        description = "The rate to start at and to return to when idle, kbit/s.";
      };
      max = mkOption {
        type = types.ints.between 100 10000000;
        default = 80000;
        description = "Never above this rate, kbit/s; what the line carries at best.";
      };
    };
    upload = {
      min = mkOption {
        type = types.ints.between 100 10000000;
        default = 5000;
        description = "Never below this rate, kbit/s.";
      };
      base = mkOption {
        type = types.ints.between 100 10000000;
        default = 20000;
        description = "The rate to start at and to return to when idle, kbit/s.";
      };
      max = mkOption {
        type = types.ints.between 100 10000000;
        default = 35000;
        description = "Never above this rate, kbit/s; what the line carries at best.";
      };
    };
    sampleHz = mkOption {
      type = types.ints.between 1 20;
      default = 10;
      description = "Ticks of the loop a second.";
    };
    maxCpu = mkOption {
      type = types.ints.between 1 100;
      default = 40;
      description = "Percent of one processor for the daemon and its children; above it the loop slows down, then freezes.";
    };
    logLevel = mkOption {
      type = types.enum [ "trace" "debug" "info" "warn" "error" ];
      default = "info";
      description = "The least a message of the flow plane must matter to be written; log.level is for all others.";
    };
    reflectors = mkOption {
      type = types.listOf types.str;
      default = [ "1.1.1.1" "8.8.8.8" "9.9.9.9" "208.67.222.222" "1.0.0.1" "8.8.4.4" "149.112.112.112" "208.67.220.220" "2606:4700:4700::1111" "2001:4860:4860::8888" "2620:fe::fe" ];
      description = "Addresses that answer ICMP echo, best first; a few are asked at a time, and bad ones rotated out.";
    };
    delaySetPoint = mkOption {
      type = types.str;
      default = "10ms";
      description = "RTT increase that is steered to.";
    };
    k = mkOption {
      type = types.ints.between 1 64;
      default = 3;
      description = "Bloat is when k of the last m samples say so.";
    };
    m = mkOption {
      type = types.ints.between 1 64;
      default = 6;
      description = "See k.";
    };
    rho = mkOption {
      type = types.ints.between 1 20;
      default = 4;
      description = "Changes of one direction a second, at most.";
    };
    tau = mkOption {
      type = types.str;
      default = "200ms";
      description = "Time between two changes of one direction, at least.";
    };
    stepUp = mkOption {
      type = types.ints.between 1 100;
      default = 25;
      description = "The largest raise, percent of the rate before.";
    };
    stepDown = mkOption {
      type = types.ints.between 1 95;
      default = 80;
      description = "The largest cut, percent of the rate before.";
    };
    persona = {
      enabled = mkOption {
        type = types.bool;
        default = true;
        description = "Recognise flows, and sort them into CAKE's tins.";
      };
      treatment = mkOption {
        type = types.attrsOf (types.enum [ "normal" "boost" "throttle" ]);
        default = { };
        description = "By persona: boost (one tin better), throttle (the Bulk tin) or normal.";
      };
      tap = mkOption {
        type = types.enum [ "auto" "nflog" "pcap" "off" ];
        default = "auto";
        description = "Where the first packets of flows are read: nflog (through nft), pcap (a BPF filter), auto (the first that works) or off.";
      };
      catalogDir = mkOption {
        type = types.str;
        default = "/etc/mycoflow/catalog.d";
        description = "Folder of your own catalogue files, *.yaml, which add to the one that comes along.";
      };
    };
    linkLayer = {
      framing = mkOption {
        type = types.enum [ "none" "atm" "ptm" ];
        default = "none";
        description = "The line's framing (tc-cake(8)): none, atm (ADSL) or ptm (VDSL).";
      };
      overhead = mkOption {
        type = types.ints.between (-64) 256;
        default = 0;
        description = "Bytes the line adds to each packet.";
      };
      mpu = mkOption {
        type = types.ints.between 0 256;
        default = 0;
        description = "Bytes the smallest packet takes on the line.";
      };
    };
    nat = mkOption {
      type = types.bool;
      default = true;
      description = "Tell the hosts behind NAT apart (tc-cake(8)).";
    };
    metricsFile = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "A file that gets the loop's figures once a second; null: none.";
    };
  };
  uci = mkOption {
    type = types.nullOr types.str;
    default = null;
    description = "A UCI file, such as /etc/config/mycoflow, whose options stand in place of flow; null: none.";
  };
  ubus = mkOption {
    type = types.oneOf [ (types.enum [ false ]) (types.enum [ "auto" ]) types.str ];
    default = "auto";
    description = "OpenWrt's bus, where the daemon offers myco and reads UCI: auto (if there is one), its socket's path, or false.";
  };
}
