"""Runs a test script of NixOS's driver with machines that are the lab's.

usage: nixos-bridge.py SCRIPT MACHINE...

Every verb is one line of JSON on standard output, answered by one line on standard input:
{"machine", "verb", "arguments"} and {"result"} or {"error"}. What the script prints goes to
standard error. https://nixos.org/manual/nixos/stable/#ssec-machine-objects
"""

import contextlib
import json
import sys
import time
import traceback

TIMEOUT_SECONDS = 900

requests = sys.stdout
sys.stdout = sys.stderr


class RequestFailed(Exception):
    """The lab could not do what was asked, or the guest did otherwise than the test said it must."""


def ask(verb, machine=None, **arguments):
    request = {"machine": machine, "verb": verb, "arguments": arguments}
    print(json.dumps(request), file=requests, flush=True)
    line = sys.stdin.readline()
    if line == "":
        sys.exit("the lab has gone")
    reply = json.loads(line)
    if "error" in reply:
        raise RequestFailed(reply["error"])
    return reply["result"]


class Machine:
    def __init__(self, name):
        self.name = name

    def _ask(self, verb, **arguments):
        return ask(verb, self.name, **arguments)

    def execute(self, command, check_return=True, check_output=True, timeout=TIMEOUT_SECONDS):
        status, output = self._ask("execute", command=command, timeout=timeout)
        return (status if check_return else -2, output if check_output else "")

    def succeed(self, *commands, timeout=None):
        return self._ask("succeed", commands=commands, timeout=timeout)

    def fail(self, *commands, timeout=None):
        return self._ask("fail", commands=commands, timeout=timeout)

    def wait_until_succeeds(self, command, timeout=TIMEOUT_SECONDS):
        return self._ask("waitUntilSucceeds", command=command, timeout=timeout)

    def wait_until_fails(self, command, timeout=TIMEOUT_SECONDS):
        return self._ask("waitUntilFails", command=command, timeout=timeout)

    def wait_for_unit(self, unit, timeout=TIMEOUT_SECONDS):
        self._ask("waitForUnit", unit=unit, timeout=timeout)

    def get_unit_property(self, unit, property):
        return self._ask("unitProperty", unit=unit, property=property)

    def wait_for_open_port(self, port, addr="localhost", timeout=TIMEOUT_SECONDS):
        self._ask("waitForOpenPort", port=port, address=addr, timeout=timeout)

    def wait_for_closed_port(self, port, addr="localhost", timeout=TIMEOUT_SECONDS):
        self._ask("waitForClosedPort", port=port, address=addr, timeout=timeout)

    def wait_for_file(self, filename, timeout=TIMEOUT_SECONDS):
        self._ask("waitForFile", path=filename, timeout=timeout)

    def copy_from_host(self, source, target):
        self._ask("copyFromHost", source=source, target=target)

    def start(self):
        self._ask("start")

    def crash(self):
        self._ask("crash")

    def shutdown(self):
        self._ask("shutdown")

    def block(self):
        self._ask("block")

    def unblock(self):
        self._ask("unblock")

    def log(self, message):
        ask("note", message=f"{self.name}: {message}")

    def sleep(self, seconds):
        time.sleep(seconds)


@contextlib.contextmanager
def subtest(name):
    ask("begin", name=name)
    try:
        yield
    except Exception as error:
        ask("end", error=describe(error))
        raise
    ask("end", error=None)


def describe(error):
    """What went wrong, and in which line of the script."""
    frames = traceback.extract_tb(error.__traceback__)
    line = next((frame for frame in reversed(frames) if frame.filename == script), None)
    place = "" if line is None else f"{script}:{line.lineno}: {line.line}\n"
    words = str(error) if isinstance(error, RequestFailed) else f"{type(error).__name__}: {error}"
    return place + words


script, *names = sys.argv[1:]
machines = [Machine(name) for name in names]
surroundings = {
    "__name__": "__main__",
    "machines": machines,
    "start_all": lambda: ask("startAll"),
    "subtest": subtest,
    "log": lambda message: ask("note", message=message),
    **{machine.name.replace("-", "_"): machine for machine in machines},
}
with open(script, encoding="utf-8") as file:
    program = compile(file.read(), script, "exec")
try:
    exec(program, surroundings)
except Exception as error:
    sys.exit(describe(error))
