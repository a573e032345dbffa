import json

start_all()
for machine in machines:
    machine.wait_for_unit("multi-user.target")

IFB = "myco-eth2"


def qdisc(device):
    found = json.loads(router.succeed(f"tc -s -j qdisc show dev {device}"))
    return next(one for one in found if one.get("root"))


def tin_packets(device, tin):
    """Of tc-cake(8)'s four tins, the first is Bulk and the last is Voice."""
    return qdisc(device)["tins"][tin]["sent_packets"]


def rate_kbit(device):
    return qdisc(device)["options"]["bandwidth"] * 8 / 1000


with subtest("client and server reach each other through the router"):
    router.succeed("systemctl stop myco.service")
    client.succeed("ip route replace 192.168.2.0/24 via 192.168.1.2")
    server.succeed("ip route replace 192.168.1.0/24 via 192.168.2.2")
    router.succeed("sysctl -w net.ipv4.ip_forward=1")
    client.succeed("ping -c 3 192.168.2.3")
    server.succeed("pkill iperf3 || true", "iperf3 -s -D")
    for address in ["192.168.2.101", "192.168.2.102", "192.168.2.103"]:
        server.succeed(f"ip address replace {address}/24 dev eth1")

before = router.succeed("tc qdisc show")

with subtest("the daemon shapes the line, both ways, in four tins"):
    router.succeed("systemctl start myco.service")
    router.wait_for_unit("myco.service")
    router.wait_until_succeeds(f"tc qdisc show dev {IFB} | grep 'cake.*diffserv4'")
    router.wait_until_succeeds("tc qdisc show dev eth2 | grep 'cake.*root'")
    assert rate_kbit("eth2") >= 1000
    assert len(qdisc(IFB)["tins"]) == 4

with subtest("a persona's packets go into its tin, both ways"):
    router.succeed("myco persona add voip --port udp/5201")
    voice = {device: tin_packets(device, 3) for device in ["eth2", IFB]}
    client.succeed("iperf3 -u --bidir -b 150k -l 200 -t 5 -c 192.168.2.3")
    for device, packets in voice.items():
        gained = tin_packets(device, 3) - packets
        assert gained >= 200, (device, gained)

with subtest("a line that has become slow is answered"):
    server.succeed("tc qdisc replace dev eth1 root tbf rate 3mbit burst 16k latency 600ms")
    client.succeed("iperf3 -R -t 120 -P 4 -c 192.168.2.3 >/dev/null 2>&1 &")
    router.wait_until_succeeds(
        f"tc -j qdisc show dev {IFB} | jq -e '.[0].options.bandwidth * 8 < 6000000'"
    )
    decisions = json.loads(router.succeed("myco flow status --json"))["decisions"]
    cuts = [one for one in decisions if one["direction"] == "download" and one["cause"] == "bloat"]
    assert cuts != [], decisions
    server.succeed("tc qdisc del dev eth1 root")

with subtest("stopped, it leaves the line as it was found"):
    client.execute("pkill iperf3")
    router.succeed("systemctl stop myco.service")
    after = router.succeed("tc qdisc show")
    assert after == before, (before, after)
    router.fail(f"ip link show {IFB}")
    router.fail("nft list ruleset | grep myco")
