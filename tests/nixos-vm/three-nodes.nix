# Three members of one cluster, which tests form by themselves: invitations are secrets.
let
  node =
    { pkgs, ... }:
    {
      services.myco = {
        enable = true;
        mesh.openFirewall = true;
        settings.engine = {
          stableWait = "500ms";
          reserve = 0;
        };
      };
      # Names of services, without a resolver in between that keeps what is gone.
      services.resolved.enable = false;
      networking.nameservers = [ "127.0.0.1" ];
      networking.firewall.allowedTCPPorts = [ 8080 ];
      environment.etc."web-server.py".source = ./web-server.py;
      environment.systemPackages = [
        pkgs.curl
        pkgs.python3
      ];
    };
in
{
  alice = node;
  bob = node;
  carol = node;
}
