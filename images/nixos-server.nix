# A server: a member of a cluster that runs services. Give it your disks, keys and invitation.
{ ... }:
{
  imports = [ ./nixos-base.nix ];

  networking.hostName = "server";

  services.myco = {
    enable = true;
    mesh.openFirewall = true;
  };
}
