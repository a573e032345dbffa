# Names of services: answered by the node, and asked of it by the machine's own resolver.
{
  name = "myco-upgrade";

  nodes.machine =
    { pkgs, ... }:
    {
      services.resolved.enable = true;
      services.myco = {
        enable = true;
        settings.engine.stableWait = "500ms";
      };
      environment.systemPackages = [ pkgs.python3 ];
    };

  testScript = builtins.readFile ./upgrade.py;
}
