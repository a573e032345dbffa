# OpenWrt with Myco's packages, made by the image builder of OpenWrt 24.10: one image a device.
{
  lib,
  pkgs,
  myco,
  imageBuilder,
}:
let
  release = "24.10.8";

  # Called as its own flake calls it: with the programs that read OpenWrt's package lists.
  builderPackages = pkgs.extend (
    final: _: {
      packages2nix = final.callPackage "${imageBuilder}/packages2nix.nix" { };
      callPackages2nix = final.callPackage "${imageBuilder}/call-packages2nix.nix" { };
    }
  );

  devices = {
    x86-64 = {
      target = "x86";
      variant = "64";
      profile = "generic";
    };
    raspberry-pi-4 = {
      target = "bcm27xx";
      variant = "bcm2711";
      profile = "rpi-4";
    };
    xiaomi-ax3000t = {
      target = "mediatek";
      variant = "filogic";
      profile = "xiaomi_mi-router-ax3000t";
    };
  };

  # LuCI, and what the daemon's package depends on, from OpenWrt's own feeds.
  # (Its `nftables` is either nftables-json or nftables-nojson.)
  packages = [
    "luci"
    "fping"
    "ip-tiny"
    "kmod-ifb"
    "kmod-nf-conntrack"
    "kmod-nfnetlink-log"
    "kmod-nft-core"
    "kmod-sched-cake"
    "kmod-sched-core"
    "kmod-sched-ctinfo"
    "nftables-json"
    "node"
    "tc-full"
    "tcpdump-mini"
  ];

  # What `npm run build:ipk` makes: the daemon, and its pages for LuCI.
  ipk = myco.overrideAttrs (_: {
    name = "mycoflow-ipk";
    src = lib.fileset.toSource {
      root = ../.;
      fileset = lib.fileset.unions [
        ../LICENSE
        ../openwrt
        ../package.json
        ../package-lock.json
        ../scripts
        ../src
      ];
    };
    npmBuildScript = "build:ipk";
    postBuild = "";
    installPhase = "install -D --target-directory=$out dist/*.ipk";
    doInstallCheck = false;
  });

  # The ipk files lie in the image and are installed at its first boot.
  files = pkgs.runCommand "myco-openwrt-files" { } ''
    mkdir -p $out/etc/uci-defaults $out/usr/share/mycoflow-ipk
    cp ${ipk}/*.ipk $out/usr/share/mycoflow-ipk/
    cat >$out/etc/uci-defaults/10-install-mycoflow <<END
    opkg install /usr/share/mycoflow-ipk/*.ipk && rm -r /usr/share/mycoflow-ipk
    END
  '';
in
lib.mapAttrs (
  _: device:
  import "${imageBuilder}/builder.nix" (
    device
    // {
      pkgs = builderPackages;
      inherit release packages files;
      extraImageName = "myco";
    }
  )
) devices
