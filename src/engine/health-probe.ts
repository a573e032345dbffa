// One look at whether a service is well: an HTTP request, a TCP connection or a command.

import { request } from "node:http";
import { connect } from "node:net";
import { killProcessGroup, startProcessGroup } from "../io/process-group.ts";
import type { HealthCheck } from "../schema/service.ts";

/** Where the service listens, and what its commands run with. */
export interface ProbeTarget {
  /** An IP address. */
  readonly address: string;
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}

/** @param problem null when the service is well, otherwise what is wrong, for people */
export type OnProbed = (problem: string | null) => void;

/** Bytes of a failed command's last words that are shown. */
const LAST_WORDS_BYTES_MAX = 200;

/**
 * Looks once, for `check.timeoutMs` at most, and calls `onProbed` once.
 * @returns what calls it off: `onProbed` is then never called
 */
export function probe(check: HealthCheck, target: ProbeTarget, onProbed: OnProbed): () => void {
  let release = (): void => {};
  let open = true;
  const finish = (problem: string | null): void => {
    if (!open) return;
    open = false;
    clearTimeout(timer);
    release();
    onProbed(problem);
  };
  const timer = setTimeout(() => finish(`no answer within ${check.timeoutMs} ms`), check.timeoutMs);
  release = startProbe(check, target, finish);
  return () => {
    open = false;
    clearTimeout(timer);
    release();
  };
}

/** @returns what frees the probe's socket or process, whether it has ended or not */
function startProbe(check: HealthCheck, target: ProbeTarget, finish: OnProbed): () => void {
  if (check.kind === "http") return probeHttp(target.address, check.port, check.path, finish);
  if (check.kind === "tcp") return probeTcp(target.address, check.port, finish);
  return probeCommand(check.command, target, finish);
}

/** Well: any answer below 400. The body is not read. */
function probeHttp(host: string, port: number, path: string, finish: OnProbed): () => void {
  const outgoing = request(
    { host, port, path: escapePath(path), agent: false, headers: { "user-agent": "myco-health" } },
    (response) => {
      const status = response.statusCode ?? 0;
      finish(status >= 200 && status < 400 ? null : `GET ${path} answered ${status}`);
    },
  );
  outgoing.on("error", (error) => finish(`GET ${path} failed: ${error.message}`));
  outgoing.end();
  return () => outgoing.destroy();
}

/** Percent-encodes what may not stand in a request line, and leaves what is encoded already. */
function escapePath(path: string): string {
  return path.replaceAll(/[^\x21-\x7e]/gu, encodeURIComponent);
}

/** Well: the connection is accepted. */
function probeTcp(host: string, port: number, finish: OnProbed): () => void {
  const socket = connect({ host, port });
  socket.on("connect", () => finish(null));
  socket.on("error", (error) => finish(`port ${port} is not open: ${error.message}`));
  return () => socket.destroy();
}

/** Well: the command exits with code 0. */
function probeCommand(
  command: readonly string[],
  target: ProbeTarget,
  finish: OnProbed,
): () => void {
  const [program = "", ...args] = command;
  let lastWords = "";
  const group = startProcessGroup(
    { program, args, cwd: target.cwd, env: target.env },
    {
      onOutput: (_, chunk) => {
        lastWords = (lastWords + chunk.toString("utf8")).slice(-LAST_WORDS_BYTES_MAX);
      },
      onExit: (success, how) => {
        const words = lastWords.trim();
        finish(success ? null : `${program} ${how}${words === "" ? "" : `: ${words}`}`);
      },
    },
  );
  return () => {
    if (group.pid !== null) killProcessGroup(group.pid);
  };
}
