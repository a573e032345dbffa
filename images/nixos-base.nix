# What the server and the router share: a disk to boot from, SSH by key, names by systemd-resolved.
{ lib, ... }:
{
  nixpkgs.hostPlatform = lib.mkDefault "x86_64-linux";
  system.stateVersion = "26.05";

  boot.loader = {
    systemd-boot.enable = lib.mkDefault true;
    grub.enable = lib.mkDefault false;
  };
  fileSystems."/" = {
    device = lib.mkDefault "/dev/disk/by-label/nixos";
    fsType = lib.mkDefault "ext4";
  };
  fileSystems."/boot" = {
    device = lib.mkDefault "/dev/disk/by-label/ESP";
    fsType = lib.mkDefault "vfat";
  };

  services.resolved.enable = lib.mkDefault true;
  services.openssh = {
    enable = true;
    settings.PasswordAuthentication = false;
  };

  # `system.build.images` has one image a variant; these differ from what is above.
  image.modules = {
    raw-efi.virtualisation.diskSize = lib.mkDefault 4096;
    qemu.virtualisation.diskSize = lib.mkDefault 4096;
  };
}
