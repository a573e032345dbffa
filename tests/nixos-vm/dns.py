import json

start_all()
machine.wait_for_unit("multi-user.target")

# Where machines are emulated, the daemon's socket answers much sooner than a program starts.
STATUS = "curl --silent --fail --unix-socket /run/myco/myco.sock http://myco/status"


def deploy(name, **manifest):
    text = json.dumps({"name": name, **manifest})
    machine.succeed(f"mkdir -p /root/{name} && printf %s '{text}' >/root/{name}/myco.json")
    machine.succeed(f"myco deploy /root/{name}")


with subtest("the daemon waits until the machine is in a cluster"):
    machine.fail("systemctl is-active myco.service")
    machine.succeed("myco cluster init", "systemctl start myco.service")
    machine.wait_for_unit("myco.service")
    machine.succeed("myco status")

with subtest("whoever is in the group may use the socket, and nobody else"):
    machine.succeed("useradd --groups myco insider", "useradd outsider")
    machine.succeed(f"su insider -s /bin/sh -c '{STATUS}'")
    machine.fail(f"su outsider -s /bin/sh -c '{STATUS}'")

with subtest("a service is deployed, and asked by its name"):
    python = machine.succeed("readlink -f $(command -v python3)").strip()
    server = ["/etc/web-server.py", "8080"]
    deploy("web", exec=python, args=server, ports=[8080], health={"http": "/"})
    machine.wait_until_succeeds("getent ahostsv4 web.myco | grep -w 192.168.1.1")
    machine.succeed("curl --silent --fail --output /dev/null http://web.myco:8080/")

with subtest("a name that no service has is not there"):
    machine.fail("getent hosts nowhere.myco")

with subtest("the name goes with the service"):
    machine.succeed("myco undeploy web")
    machine.wait_until_fails("getent ahostsv4 web.myco")
