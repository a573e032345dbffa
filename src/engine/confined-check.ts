// A service's own check command, run confined as the service is: a transient unit with what its unit
// file says of user, folders and limits.

import type { Version } from "./service-note.ts";

/** What is the service's alone: how it starts, lives and ends. */
const OF_THE_SERVICE_ALONE = new Set([
  "Type",
  "Restart",
  "RestartSec",
  "TimeoutStartSec",
  "TimeoutStopSec",
  "NotifyAccess",
  "WatchdogSec",
  "ExecStart",
  "ExecStartPre",
  "SyslogIdentifier",
]);

/**
 * Arguments of systemd-run(1) that look once whether a service is well.
 * @param unitText the service's own unit file
 */
export function checkArguments(
  { spec, storePath }: Version,
  unitText: string,
  command: readonly string[],
  timeoutMs: number,
): string[] {
  const [program = "", ...args] = command;
  const path = program.startsWith("/") || storePath === "" ? program : `${storePath}/${program}`;
  return [
    ...["--pipe", "--wait", "--collect", "--quiet", `--unit=myco-check@${spec.name}.service`],
    ...serviceProperties(unitText).map((property) => `--property=${property}`),
    // In the network of the service, where it has one of its own.
    ...(spec.network === "none" ? [`--property=JoinsNamespaceOf=myco-${spec.name}.service`] : []),
    `--property=RuntimeMaxSec=${Math.ceil(timeoutMs / 1_000)}`,
    "--",
    // systemd replaces `$NAME` in a command's arguments (systemd.service(5), Command lines).
    ...[path, ...args].map((text) => text.replaceAll("$", "$$$$")),
  ];
}

function serviceProperties(unitText: string): string[] {
  const section = unitText.split("\n[Service]\n")[1]?.split("\n[")[0] ?? "";
  return section.split("\n").filter((line) => {
    const at = line.indexOf("=");
    return at > 0 && !OF_THE_SERVICE_ALONE.has(line.slice(0, at));
  });
}
