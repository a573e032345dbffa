import json

start_all()
for machine in machines:
    machine.wait_for_unit("multi-user.target")

# Where machines are emulated, the daemon's socket answers much sooner than a program starts.
API = "curl --silent --fail --unix-socket /run/myco/myco.sock http://myco"


def members(machine, status):
    listed = json.loads(machine.succeed(f"{API}/members"))["members"]
    return sorted(member["hostname"] for member in listed if member["status"] == status)


def wait_until_alive(machine, count):
    machine.wait_until_succeeds(
        f"test $({API}/members | grep --only-matching '\"alive\"' | wc --lines) -eq {count}"
    )


def deploy(machine, name):
    """A service that every node knows and none may run: no machine is in its zone."""
    manifest = json.dumps({"name": name, "exec": "/bin/true", "zone": 255})
    machine.succeed(f"mkdir -p /root/{name} && printf %s '{manifest}' >/root/{name}/myco.json")
    machine.succeed(f"myco deploy --no-wait /root/{name}")


def table(machine):
    return json.loads(machine.succeed(f"{API}/status"))["cluster"]["rootHash"]


def wait_until_known(machine, name):
    machine.wait_until_succeeds(f"{API}/services/{name}")


with subtest("two machines join a third"):
    alice.succeed("myco cluster init")
    for newcomer in [bob, carol]:
        token = alice.succeed("myco cluster invite --peer 192.168.1.1:7946").strip()
        newcomer.succeed(f"myco cluster join {token}")
    for machine in machines:
        machine.succeed("systemctl start myco.service")
    for machine in machines:
        wait_until_alive(machine, 3)

with subtest("what is deployed at one is known at all"):
    deploy(alice, "first")
    for machine in machines:
        wait_until_known(machine, "first")

with subtest("a node that is cut off is missed, and both sides go on"):
    carol.block()
    wait_until_alive(alice, 2)
    assert members(alice, "alive") == ["alice", "bob"], members(alice, "alive")
    deploy(bob, "second")
    deploy(carol, "third")
    wait_until_known(alice, "second")
    alice.fail(f"{API}/services/third")
    carol.fail(f"{API}/services/second")

with subtest("once it is back, all know the same"):
    carol.unblock()
    wait_until_known(carol, "second")
    for machine in [alice, bob]:
        wait_until_known(machine, "third")
    for machine in machines:
        wait_until_alive(machine, 3)
    hashes = {table(machine) for machine in machines}
    assert len(hashes) == 1, hashes

with subtest("a machine that is shut out is out everywhere"):
    [carol_id] = [
        member["nodeId"]
        for member in json.loads(alice.succeed(f"{API}/members"))["members"]
        if member["hostname"] == "carol"
    ]
    alice.succeed(f"myco cluster revoke {carol_id}")
    wait_until_alive(bob, 2)
    assert members(bob, "alive") == ["alice", "bob"], members(bob, "alive")
