# A router between two LANs, whose line is the second one: client – router – server.
{
  name = "myco-cake";

  nodes = {
    client =
      { pkgs, ... }:
      {
        virtualisation.vlans = [ 1 ];
        environment.systemPackages = [ pkgs.iperf3 ];
      };

    router =
      { pkgs, ... }:
      {
        virtualisation.vlans = [
          1
          2
        ];
        boot.kernel.sysctl."net.ipv4.ip_forward" = 1;
        networking.firewall.enable = false;
        services.myco = {
          enable = true;
          mesh.enable = false;
          flow = {
            enable = true;
            interface = "eth2";
            download = {
              min = 1000;
              base = 8000;
              max = 10000;
            };
            upload = {
              min = 1000;
              base = 8000;
              max = 10000;
            };
          };
          settings.flow = {
            maxCpu = 100;
            # All of them the server, which is the third machine.
            reflectors = [
              "192.168.2.3"
              "192.168.2.101"
              "192.168.2.102"
              "192.168.2.103"
            ];
          };
        };
        environment.systemPackages = [
          pkgs.iproute2
          pkgs.jq
        ];
      };

    server =
      { pkgs, ... }:
      {
        virtualisation.vlans = [ 2 ];
        boot.kernelModules = [ "sch_tbf" ];
        networking.firewall.enable = false;
        environment.systemPackages = [
          pkgs.iperf3
          pkgs.iproute2
        ];
      };
  };

  testScript = builtins.readFile ./cake.py;
}
