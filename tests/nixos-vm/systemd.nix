# Services as units: confined, moved when their machine dies, and put back when a new one fails.
{
  name = "myco-systemd";
  nodes = import ./three-nodes.nix;
  testScript = builtins.readFile ./systemd.py;
}
