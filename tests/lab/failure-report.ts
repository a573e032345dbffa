// What is kept of guests when a script has failed.

import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { MACHINES_FOLDER } from "./containers.ts";
import type { Machine } from "./machine.ts";

/** Reports of earlier failures that are kept beside a new one. */
const REPORTS_KEPT = 10;

/** File name → command. Namespaces are asked one by one: the topology lives in them. */
const QUESTIONS: Readonly<Record<string, string>> = {
  "journal.txt": "journalctl --no-pager --boot | tail -n 5000",
  "dmesg.txt": "dmesg",
  "machines.txt": `for root in ${MACHINES_FOLDER}/*/root; do
  [ ! -d "$root" ] || { echo "== $root"; journalctl --no-pager --root="$root" | tail -n 5000; }
done`,
  "units.txt": "systemctl --no-pager --all list-units; systemctl --no-pager --failed",
  "processes.txt": "ps -e -o pid,ppid,stat,rss,time,args --forest",
  "network.txt": everywhere("ip address; ip route; ip -6 route; ip rule"),
  "qdiscs.txt": everywhere(
    "tc -s qdisc; tc -s filter show dev wan0; tc -s filter show dev wan0 ingress",
  ),
  "nftables.txt": everywhere("nft list ruleset"),
  "conntrack.txt": everywhere("conntrack -L 2>/dev/null | head -n 500"),
  "myco.txt":
    "tail -n 5000 /var/log/myco/*.log /run/myco/*.log 2>/dev/null; journalctl --no-pager --boot --unit 'myco*' | tail -n 5000",
};

const QUESTION_SECONDS = 30;

/** Runs `commands` in the guest itself and in each of its network namespaces. */
function everywhere(commands: string): string {
  return `show() { ${commands}; }; export -f show
show || true
ip netns list | while read -r name _; do
  echo; echo "== namespace $name"; ip netns exec "$name" bash -c show || true
done`;
}

/** Puts consoles, the driver's log and each living machine's answers into `target`. */
export async function collectLogs(
  machines: readonly Machine[],
  folder: string,
  target: string,
): Promise<void> {
  makeRoom(dirname(target));
  mkdirSync(target, { recursive: true });
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".log"))) {
    copyFileSync(join(folder, name), join(target, name));
  }
  await Promise.all(machines.map((machine) => askMachine(machine, join(target, machine.name))));
}

async function askMachine(machine: Machine, target: string): Promise<void> {
  if (!machine.isUp) return;
  mkdirSync(target, { recursive: true });
  for (const [file, question] of Object.entries(QUESTIONS)) {
    try {
      const { output, errors } = await machine.run(question, { timeoutSeconds: QUESTION_SECONDS });
      writeFileSync(join(target, file), Buffer.concat([output, errors]));
    } catch (error) {
      writeFileSync(join(target, basename(file)), `not collected: ${(error as Error).message}\n`);
      return;
    }
  }
}

function makeRoom(reports: string): void {
  if (!existsSync(reports)) return;
  const names = readdirSync(reports).sort();
  for (const name of names.slice(0, Math.max(0, names.length - REPORTS_KEPT))) {
    rmSync(join(reports, name), { recursive: true, force: true });
  }
}
