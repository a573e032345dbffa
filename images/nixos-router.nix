# A home router: a WAN whose line the flow plane keeps fast, a LAN behind NAT, and a member of the
# cluster. Rates are kbit/s: set them to what your line carries at best.
{ ... }:
{
  imports = [ ./nixos-base.nix ];

  networking = {
    hostName = "router";
    useDHCP = false;
    interfaces.wan0.useDHCP = true;
    interfaces.lan0.ipv4.addresses = [
      {
        address = "192.168.1.1";
        prefixLength = 24;
      }
    ];
    nat = {
      enable = true;
      externalInterface = "wan0";
      internalInterfaces = [ "lan0" ];
    };
    firewall.trustedInterfaces = [ "lan0" ];
  };

  # dnsmasq has port 53 here, and asks Myco for the cluster's names.
  services.resolved.enable = false;
  services.dnsmasq = {
    enable = true;
    settings = {
      interface = "lan0";
      dhcp-range = [ "192.168.1.100,192.168.1.250,12h" ];
      server = [ "/myco/127.0.0.1#5300" ];
    };
  };

  services.myco = {
    enable = true;
    mesh.openFirewall = true;
    settings.dns.listen = "127.0.0.1:5300";
    flow = {
      enable = true;
      interface = "wan0";
      download = {
        min = 5000;
        base = 50000;
        max = 100000;
      };
      upload = {
        min = 2000;
        base = 15000;
        max = 40000;
      };
    };
  };
}
