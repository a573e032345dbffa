# A stand-in for the OpenWrt image builder: the arguments it takes, and targets it knows.
{
  pkgs,
  release,
  target,
  variant,
  profile,
  packages ? [ ],
  files ? null,
  extraImageName ? null,
}:
let
  known = [
    "bcm27xx/bcm2711/rpi-4"
    "mediatek/filogic/xiaomi_mi-router-ax3000t"
    "x86/64/generic"
  ];
  device = "${target}/${variant}/${profile}";
in
if !(builtins.elem device known) then
  throw "the image builder knows no ${device}"
else if release != "24.10.8" then
  throw "the image builder has no release ${release}"
else
  pkgs.runCommand "openwrt-${release}-${extraImageName}-${target}-${variant}-${profile}" { } ''
    ${files} ${pkgs.callPackages2nix} ${builtins.toJSON packages}
  ''
