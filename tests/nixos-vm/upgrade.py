import json

start_all()
machine.wait_for_unit("multi-user.target")

# Where machines are emulated, the daemon's socket answers much sooner than a program starts.
API = "curl --silent --fail --unix-socket /run/myco/myco.sock http://myco"


def services():
    listed = json.loads(machine.succeed(f"{API}/services"))["services"]
    return sorted(service["name"] for service in listed)


with subtest("the daemon takes the state over"):
    machine.succeed(
        "systemctl stop myco.service",
        "rm -rf /var/lib/myco",
        "cp --recursive --dereference /etc/myco-state /var/lib/myco",
        "chmod 700 /var/lib/myco && chmod 600 /var/lib/myco/*",
        "systemctl start myco.service",
    )
    machine.wait_for_unit("myco.service")

with subtest("it is the same node, in the same cluster"):
    status = json.loads(machine.succeed(f"{API}/status"))
    assert status["node"]["id"] == "a227089f857893c2", status
    assert status["cluster"]["rootId"] == "f9b5207ef7c9c1eb", status

with subtest("what was deployed is there, and what was deleted stays deleted"):
    assert services() == ["api", "web"], services()
    web = machine.succeed(f"{API}/services/web")
    assert "from 0.1.0" in web, web

with subtest("a write beside the old ones is there after a restart"):
    manifest = json.dumps({"name": "new", "exec": "/bin/true", "zone": 255})
    machine.succeed(f"mkdir -p /root/new && printf %s '{manifest}' >/root/new/myco.json")
    machine.succeed("myco deploy --no-wait /root/new")
    machine.succeed("systemctl restart myco.service")
    machine.wait_for_unit("myco.service")
    assert services() == ["api", "new", "web"], services()
