# Names of services: answered by the node, and asked of it by the machine's own resolver.
{
  name = "myco-dns";

  nodes.machine =
    { pkgs, ... }:
    {
      services.resolved.enable = true;
      services.myco = {
        enable = true;
        settings.engine = {
          stableWait = "500ms";
          reserve = 0;
        };
      };
      environment.etc."web-server.py".source = ./web-server.py;
      environment.systemPackages = [
        pkgs.curl
        pkgs.python3
      ];
    };

  testScript = builtins.readFile ./dns.py;
}
