import json

start_all()
for machine in machines:
    machine.wait_for_unit("multi-user.target")

# Where machines are emulated, the daemon's socket answers much sooner than a program starts.
API = "curl --silent --fail --unix-socket /run/myco/myco.sock http://myco"

python = alice.succeed("readlink -f $(command -v python3)").strip()


def deploy(machine, **changes):
    manifest = {
        "name": "web",
        "exec": python,
        "args": ["/etc/web-server.py", "8080"],
        "ports": [8080],
        "memory": "100M",
        "health": {"http": "/"},
        **changes,
    }
    text = json.dumps(manifest)
    machine.succeed(f"mkdir -p /root/web && printf %s '{text}' >/root/web/myco.json")
    return machine.execute("myco deploy --timeout 5m /root/web", timeout=900)


def owner():
    [one] = [machine for machine in machines if is_running(machine)]
    return one


def is_running(machine):
    status, _ = machine.execute("systemctl is-active --quiet myco-web.service")
    return status == 0


def ask(machine):
    machine.wait_until_succeeds(
        "curl --silent --fail --max-time 5 --output /dev/null http://web.myco:8080/"
    )


def wait_until_alive(machine, count):
    machine.wait_until_succeeds(
        f"test $({API}/members | grep --only-matching '\"alive\"' | wc --lines) -eq {count}"
    )


with subtest("three machines form a cluster"):
    alice.succeed("myco cluster init")
    for newcomer in [bob, carol]:
        token = alice.succeed("myco cluster invite --peer 192.168.1.1:7946").strip()
        newcomer.succeed(f"myco cluster join {token}")
    for machine in machines:
        machine.succeed("systemctl start myco.service")
    for machine in machines:
        wait_until_alive(machine, 3)

with subtest("a deployed service is a unit on one of them, and every one finds it by name"):
    status, output = deploy(alice)
    assert status == 0, output
    runner = owner()
    for machine in machines:
        ask(machine)

with subtest("the unit is confined"):
    runner.succeed("systemd-analyze security --threshold=15 myco-web.service")
    for property, value in [
        ("DynamicUser", "yes"),
        ("ProtectSystem", "strict"),
        ("MemoryMax", str(100 * 1024 * 1024)),
    ]:
        found = runner.get_unit_property("myco-web.service", property)
        assert found == value, (property, found)

with subtest("a version that is not healthy is rolled back, and the one before goes on"):
    status, output = deploy(alice, health={"http": "/not-there", "grace": "5s"})
    assert status != 0, output
    ask(alice)

with subtest("its machine dies, and another takes the service over"):
    others = [machine for machine in machines if machine is not runner]
    deploy(others[0], env={"VERSION": "2"})
    ask(others[0])
    runner = owner()
    others = [machine for machine in machines if machine is not runner]
    runner.crash()
    wait_until_alive(others[0], 2)
    for machine in others:
        ask(machine)
    assert [is_running(machine) for machine in others].count(True) == 1

with subtest("undeployed, it leaves no unit"):
    others[0].succeed("myco undeploy web")
    for machine in others:
        machine.wait_until_fails("systemctl cat myco-web.service")
