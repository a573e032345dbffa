# The state that version 0.1.0 wrote is read by the present one.
{
  name = "myco-upgrade";

  nodes.machine =
    { pkgs, ... }:
    {
      services.myco = {
        enable = true;
        settings.engine.reserve = 0;
      };
      environment.etc."myco-state".source = ./state-0.1.0;
      environment.systemPackages = [ pkgs.curl ];
    };

  testScript = builtins.readFile ./upgrade.py;
}
