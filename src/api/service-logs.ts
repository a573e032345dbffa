// `GET /logs`: what a service printed on this node, and what it prints from now on.

import type { ServerResponse } from "node:http";
import { API_LOG_LINES_MAX } from "../kernel/limits.ts";
import { SERVICE_NAME } from "../schema/text-rules.ts";
import { ApiError } from "./api-error.ts";
import type { MeshBackend } from "./backend.ts";
import type { Followers } from "./event-hub.ts";
import { badQuery, requireParameters, wholeNumberOf } from "./query.ts";
import { unknownService } from "./writes.ts";

const LINES_DEFAULT = 100;
const CONTENT_TYPE = "text/plain; charset=utf-8";

interface LogRequest {
  readonly service: string;
  readonly lines: number;
  readonly follow: boolean;
}

/** Writes the whole answer, or begins one that goes on. Throws ApiError. */
export async function sendLogs(
  query: URLSearchParams,
  response: ServerResponse,
  backend: MeshBackend,
  followers: Followers,
): Promise<void> {
  const { service, lines, follow } = parseLogRequest(query);
  // Whoever follows is told the last lines by what follows, so that none is told twice.
  const kept = await backend.logs.tail(service, follow ? 1 : lines);
  if (kept.length === 0) requireHere(service, backend);
  if (follow) {
    followLogs({ service, lines }, response, backend, followers);
    return;
  }
  response.writeHead(200, { "content-type": CONTENT_TYPE });
  response.end(kept.map((line) => `${line}\n`).join(""));
}

function followLogs(
  { service, lines }: Pick<LogRequest, "service" | "lines">,
  response: ServerResponse,
  backend: MeshBackend,
  followers: Followers,
): void {
  const early: string[] = [];
  let isOpen = false;
  const stop = backend.logs.follow(service, lines, (line) => {
    if (isOpen) followers.send(response, `${line}\n`);
    else early.push(`${line}\n`);
  });
  if (stop === null) {
    throw new ApiError(503, "too-many-followers", `too many follow the log of ${service} already`, {
      hint: "close one of them, or try again later",
    });
  }
  try {
    followers.add(response, CONTENT_TYPE, stop);
  } catch (error) {
    stop();
    throw error;
  }
  isOpen = true;
  followers.send(response, early.join(""));
}

function parseLogRequest(query: URLSearchParams): LogRequest {
  requireParameters(query, ["service", "lines", "follow"]);
  const service = query.get("service") ?? "";
  if (!SERVICE_NAME.test(service)) {
    throw badQuery(`found service=${JSON.stringify(service)}; allowed: a service's name`);
  }
  const lines = wholeNumberOf(query, "lines", LINES_DEFAULT, API_LOG_LINES_MAX);
  const follow = query.get("follow") ?? "false";
  if (follow !== "true" && follow !== "false") {
    throw badQuery(`found follow=${JSON.stringify(follow)}; allowed: true, false`);
  }
  return { service, lines, follow: follow === "true" };
}

/** A service that is placed elsewhere has its log there. */
function requireHere(name: string, backend: MeshBackend): void {
  const runsHere = backend.status().engine.instances.some((each) => each.service === name);
  if (runsHere) return;
  const service = backend.service(name);
  if (service === null) throw unknownService(name);
  const hosts = service.instances.map((instance) => instance.hostname);
  const elsewhere = hosts.length === 0 ? "on no node yet" : `on ${hosts.join(", ")}`;
  throw new ApiError(404, "not-here", `"${name}" does not run on this node; it runs ${elsewhere}`, {
    hint: hosts.length === 0 ? 'see why with "myco services"' : `ask there: myco logs ${name}`,
  });
}
