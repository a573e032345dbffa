// A guest as a node of a cluster, as somebody would set one up on Debian: the unit file of
// modules/systemd, a configuration in /etc/myco, and nix without its own daemon. And the flake the
// tests deploy, which builds with nothing but the guest's own shell.

import { join } from "node:path";
import type {
  DeployAnswer,
  DeployedService,
  ServiceAnswer,
  StatusAnswer,
} from "../../src/api/contract.ts";
import { CommandError } from "./errors.ts";
import { quoteForShell } from "./guest-recipe.ts";
import type { Machine } from "./machine.ts";

const SOCKET = "/run/myco/myco.sock";
const DAEMON_UNIT = join(import.meta.dirname, "../../modules/systemd/myco.service");

/** Debian's nix without its daemon: built by root, with the guest's shell in the sandbox. */
export const NIX_CONF = `experimental-features = nix-command flakes
substituters =
build-users-group =
sandbox = true
sandbox-fallback = false
sandbox-paths = /bin /usr /lib /lib64
`;

export const PORT = 8080;
/** Under emulation a start takes seconds. */
const PATIENCE_SECONDS = 180;

/** There is nothing to generate in a guest, and under emulation it is half of the time of a reload. */
const MASK_GENERATORS = `cd /usr/lib/systemd/system-generators
mkdir -p /etc/systemd/system-generators
for name in *; do ln -sf /dev/null /etc/systemd/system-generators/$name; done`;

/** For a guest's shell: deploys the manifest on standard input; waits for a daemon that is not up. */
export const POST = `curl --silent --fail --max-time 90 --retry 60 --retry-delay 1 --retry-all-errors \\
  --unix-socket ${SOCKET} --header content-type:application/json --data-binary @- http://localhost/deploy`;

/** What the deployed program says of itself. */
export interface Answer {
  readonly version: string;
  readonly uid: number;
  readonly root: "read-only" | "writable";
  readonly node: string;
}

export interface NodeSettings {
  /** Further lines of the configuration, as YAML. */
  readonly more?: string;
}

export class ClusterNode {
  readonly machine: Machine;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  /** Everything but the node's own files; any earlier life of the daemon ends. */
  async setUp({ more = "" }: NodeSettings = {}): Promise<void> {
    const { machine } = this;
    await machine.execute("systemctl stop myco 'myco-*'");
    await machine.succeed(
      "rm -rf /var/lib/myco /var/log/myco /root/.config/myco /etc/systemd/system/myco-* /run/systemd/system/myco-*",
    );
    await machine.succeed(MASK_GENERATORS);
    await this.write("/etc/nix/nix.conf", NIX_CONF);
    await this.write(
      "/etc/myco/config.yaml",
      `dns: { listen: "127.0.0.1:53" }
engine: { kind: systemd, reserve: "0" }
${more}`,
    );
    await this.write("/etc/resolv.conf", "nameserver 127.0.0.1\n");
    await machine.succeed("groupadd --system --force myco");
    await machine.copyFromHost(DAEMON_UNIT, "/etc/systemd/system/myco.service");
    // A daemon that the tests kill comes back at once, and never too often.
    await this.write(
      "/etc/systemd/system/myco.service.d/lab.conf",
      "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestartSec=200ms\n",
    );
    await machine.succeed("systemctl daemon-reload");
  }

  async write(path: string, text: string): Promise<void> {
    const folder = quoteForShell(path.slice(0, path.lastIndexOf("/")));
    const { status } = await this.machine.run(`mkdir -p ${folder}; cat >${quoteForShell(path)}`, {
      input: Buffer.from(text),
    });
    if (status !== 0) throw new CommandError(`${this.machine.name}: cannot write ${path}`);
  }

  /** Makes it the first node of a new cluster. */
  async found(): Promise<void> {
    await this.machine.succeed("myco cluster init && systemctl enable --now --quiet myco");
  }

  /** Joins the cluster of `other`, whose daemon runs. */
  async join(other: ClusterNode): Promise<void> {
    const invite = `myco cluster invite --peer ${other.machine.links[0]!.address4}:7946`;
    const token = (await other.machine.succeed(invite)).trim();
    await this.machine.succeed(`myco cluster join ${token} && systemctl enable --now --quiet myco`);
  }

  /** What the API answers to GET. */
  async get<Body>(path: string): Promise<Body> {
    const curl = "curl --silent --fail --max-time 30 --unix-socket";
    return JSON.parse(await this.machine.succeed(`${curl} ${SOCKET} http://localhost${path}`));
  }

  status(): Promise<StatusAnswer> {
    return this.get("/status");
  }

  /** Waits until so many members are alive. `myco status` takes seconds to start here. */
  async waitForMembers(count: number): Promise<void> {
    const ask = `curl --silent --fail --unix-socket ${SOCKET} http://localhost/status`;
    const isSo = `jq --exit-status '.cluster.members.alive == ${count}'`;
    await this.machine.waitUntilSucceeds(`${ask} | ${isSo}`, PATIENCE_SECONDS);
  }

  service(name: string): Promise<ServiceAnswer> {
    return this.get(`/services/${name}`);
  }

  /** Waits until a service is as wished, as this node sees it. */
  async waitForService(
    name: string,
    wish: string,
    isSo: (service: ServiceAnswer) => boolean,
    seconds = PATIENCE_SECONDS,
  ): Promise<ServiceAnswer> {
    let last: ServiceAnswer | null = null;
    const endMs = performance.now() + seconds * 1000;
    while (performance.now() < endMs) {
      last = await this.service(name).catch(() => null);
      if (last !== null && isSo(last)) return last;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
    throw new CommandError(
      `${this.machine.name}: waited ${seconds} s, in vain, until ${name} ${wish}; last seen:\n` +
        JSON.stringify(last, null, 1),
    );
  }

  /** Asks the service by its name in the cluster's own domain. */
  async ask(name: string, port = PORT): Promise<Answer> {
    const url = `http://${name}.myco:${port}/`;
    return JSON.parse(await this.machine.succeed(`curl --silent --fail --max-time 10 ${url}`));
  }

  /** Deploys one service. @returns status and output of `myco deploy` */
  async deploy(manifest: object, options = ""): Promise<[number, string]> {
    await this.write("/srv/deploy/myco.json", JSON.stringify(manifest, null, 2));
    return this.machine.execute(`myco deploy /srv/deploy ${options} 2>&1`, {
      timeoutSeconds: PATIENCE_SECONDS * 2,
    });
  }

  /** The same without the command, which takes seconds to start here; waits for a daemon that is not up. */
  async post(manifest: object): Promise<DeployedService> {
    const input = Buffer.from(JSON.stringify(manifest));
    const answer = await this.machine.succeed(POST, { input });
    return (JSON.parse(answer) as DeployAnswer).services[0]!;
  }

  /** Takes a service out of the cluster. */
  async withdraw(name: string): Promise<void> {
    const curl = "curl --silent --fail --max-time 30 --request DELETE --unix-socket";
    await this.machine.succeed(`${curl} ${SOCKET} http://localhost/services/${name}`);
  }

  /** Whether the unit of a service runs here, by systemd's own word. */
  async runs(name: string): Promise<boolean> {
    const [status] = await this.machine.execute(`systemctl is-active --quiet myco-${name}.service`);
    return status === 0;
  }

  /** What the daemon's last start took, until it answered. */
  async startSeconds(): Promise<number> {
    const atMicroseconds = async (name: string): Promise<number> =>
      Number(await this.machine.unitProperty("myco.service", `${name}TimestampMonotonic`));
    return ((await atMicroseconds("ActiveEnter")) - (await atMicroseconds("InactiveExit"))) / 1e6;
  }

  /** Highest memory of the daemon's unit since it started, and how often the limit was met, killed included. */
  async memory(): Promise<{ peakBytes: number; limitMet: number; killed: number }> {
    const peak = await this.machine.unitProperty("myco.service", "MemoryPeak");
    const cgroup = await this.machine.unitProperty("myco.service", "ControlGroup");
    const events = await this.machine.succeed(`cat /sys/fs/cgroup${cgroup}/memory.events`);
    const count = (key: string): number =>
      Number(new RegExp(`^${key} (\\d+)$`, "m").exec(events)?.[1] ?? Number.NaN);
    return { peakBytes: Number(peak), limitMet: count("max"), killed: count("oom_kill") };
  }
}

/** A repository of a flake on one node, which every node of the cluster can fetch. */
export class FlakeRepository {
  readonly #node: ClusterNode;
  readonly #name: string;

  constructor(node: ClusterNode, name: string) {
    this.#node = node;
    this.#name = name;
  }

  get uri(): string {
    return `git://${this.#node.machine.links[0]!.address4}/${this.#name}`;
  }

  /** Serves everything below /srv/git, from now on. */
  async serve(): Promise<void> {
    await this.#node.machine.succeed(
      `mkdir -p /srv/git/${this.#name} && cd /srv/git/${this.#name} &&
git init --quiet --initial-branch=main . && git config user.name lab && git config user.email lab@localhost
systemctl is-active --quiet lab-git || systemd-run --quiet --unit=lab-git git daemon --export-all --base-path=/srv/git /srv/git`,
    );
  }

  /** Commits a version of the program. @returns the commit */
  async commit(version: string, program: string): Promise<string> {
    const folder = `/srv/git/${this.#name}`;
    await this.#node.write(`${folder}/server.py`, program);
    await this.#node.write(`${folder}/flake.nix`, flakeText(version));
    const git = `git -C ${folder}`;
    await this.#node.machine.succeed(`${git} add --all && ${git} commit --quiet -m ${version}`);
    return (await this.#node.machine.succeed(`${git} rev-parse HEAD`)).trim();
  }
}

function flakeText(version: string): string {
  return `{
  outputs = { self }: {
    packages.x86_64-linux.default = derivation {
      name = "server-${version}";
      system = "x86_64-linux";
      builder = "/bin/sh";
      args = [ "-euc" "/bin/mkdir -p $out/bin; /bin/cp \${./server.py} $out/bin/server; /bin/chmod 755 $out/bin/server" ];
    };
  };
}
`;
}

/** A server that says who it is; its health check fails when it is not `well`. */
export function serverProgram(version: string, well = true): string {
  return `#!/usr/bin/python3
import os, socket
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("0.0.0.0", int(os.environ["PORT"])))
s.listen(16)
try:
    open("/usr/probe", "w")
    root = "writable"
except OSError:
    root = "read-only"
body = '{"version":"${version}","uid":%d,"root":"%s","node":"%s"}\\n' % (os.getuid(), root, os.environ["MYCO_NODE"])
print("version ${version} serves", flush=True)
open("kept", "w").write("${version}")
while True:
    c, _ = s.accept()
    asked = c.recv(4096)
    status = "${well ? "200 OK" : "503 Unwell"}" if b"/health" in asked else "200 OK"
    c.sendall(("HTTP/1.0 %s\\r\\ncontent-length: %d\\r\\n\\r\\n%s" % (status, len(body), body)).encode())
    c.close()
`;
}

/** The manifest of the flake's server; small machines take it, and its check is quick. */
export function serverManifest(flake: string, more: object = {}): object {
  return {
    name: "hello",
    flake,
    exec: "bin/server",
    ports: [PORT],
    health: { http: "/health", interval: "2s", timeout: "2s", grace: "20s" },
    memory: "64M",
    ...more,
  };
}
