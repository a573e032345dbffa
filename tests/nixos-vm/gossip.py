import json

start_all()
for machine in machines:
    machine.wait_for_unit("multi-user.target")


def members(machine, status):
    listed = json.loads(machine.succeed("myco cluster members --json"))
    return sorted(member["hostname"] for member in listed if member["status"] == status)


def deploy(machine, name):
    """A service that every node knows and none may run: no machine is in its zone."""
    manifest = json.dumps({"name": name, "exec": "/bin/true", "zone": 255})
    machine.succeed(f"mkdir -p /root/{name} && printf %s '{manifest}' >/root/{name}/myco.json")
    machine.succeed(f"myco deploy --no-wait /root/{name}")


def table(machine):
    return json.loads(machine.succeed("myco status --json"))["cluster"]["rootHash"]


def wait_until_known(machine, name):
    machine.wait_until_succeeds(f"myco services {name}")


with subtest("two machines join a third"):
    alice.succeed("myco cluster init", "systemctl start myco.service")
    for newcomer in [bob, carol]:
        token = alice.succeed("myco cluster invite --peer 192.168.1.1:7946").strip()
        newcomer.succeed(f"myco cluster join {token}", "systemctl start myco.service")
    for machine in machines:
        machine.wait_until_succeeds(
            "test $(myco cluster members --json | grep -c '\"alive\"') -eq 3"
        )

with subtest("what is deployed at one is known at all"):
    deploy(alice, "first")
    for machine in machines:
        wait_until_known(machine, "first")

with subtest("a node that is cut off is missed, and both sides go on"):
    carol.block()
    alice.wait_until_succeeds(
        "test $(myco cluster members --json | grep -c '\"alive\"') -eq 2"
    )
    assert members(alice, "alive") == ["alice", "bob"], members(alice, "alive")
    deploy(bob, "second")
    deploy(carol, "third")
    wait_until_known(alice, "second")
    alice.fail("myco services third")
    carol.fail("myco services second")

with subtest("once it is back, all know the same"):
    carol.unblock()
    wait_until_known(carol, "second")
    for machine in [alice, bob]:
        wait_until_known(machine, "third")
    for machine in machines:
        machine.wait_until_succeeds(
            "test $(myco cluster members --json | grep -c '\"alive\"') -eq 3"
        )
    hashes = {table(machine) for machine in machines}
    assert len(hashes) == 1, hashes

with subtest("a machine that is shut out is out everywhere"):
    [carol_id] = [
        member["nodeId"]
        for member in json.loads(alice.succeed("myco cluster members --json"))
        if member["hostname"] == "carol"
    ]
    alice.succeed(f"myco cluster revoke {carol_id}")
    bob.wait_until_succeeds(
        "test $(myco cluster members --json | grep -c '\"alive\"') -eq 2"
    )
    assert members(bob, "alive") == ["alice", "bob"], members(bob, "alive")
