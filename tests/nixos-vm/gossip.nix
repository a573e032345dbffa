# Three nodes find each other, agree, are cut apart, and agree again.
{
  name = "myco-gossip";
  nodes = import ./three-nodes.nix;
  testScript = builtins.readFile ./gossip.py;
}
