// Which path and method is answered by what.

import type { IncomingMessage, ServerResponse } from "node:http";
import { API_FLOWS_MAX } from "../kernel/limits.ts";
import { ApiError } from "./api-error.ts";
import type { ApiBackend, FlowBackend, MeshBackend } from "./backend.ts";
import type { ReloadAnswer } from "./contract.ts";
import { drainNode, getDrain, undrainNode } from "./drain.ts";
import type { Followers } from "./event-hub.ts";
import { addRule, deleteRule, recordFlow, setPolicy, unsetPolicy } from "./flow-routes.ts";
import { renderMetrics } from "./metrics.ts";
import { requireParameters, wholeNumberOf } from "./query.ts";
import { sendLogs } from "./service-logs.ts";
import { deploy, revoke, undeploy, unknownService } from "./writes.ts";

/** A whole answer. */
export interface Reply {
  readonly status: number;
  /** Pieces are made as the reader takes them. */
  readonly body: string | Uint8Array | Iterable<string>;
  /** Default: application/json. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  /** What stands in the path where the route has a `*`. */
  readonly name: string;
  readonly backend: ApiBackend;
  readonly followers: Followers;
}

/** Null: the answer is sent already, or goes on. */
type Handler = (call: Call) => Promise<Reply | null> | Reply | null;

const FLOWS_DEFAULT = 20;

/** By path; `*` stands for one name. */
const ROUTES: Readonly<Record<string, Readonly<Record<string, Handler>>>> = {
  "/health": { GET: getHealth },
  "/status": { GET: ({ backend }) => json(backend.status()) },
  "/members": { GET: ({ backend }) => json(meshOf(backend).members()) },
  "/members/*/drain": {
    GET: ({ name, backend }) => json(getDrain(name, meshOf(backend))),
    PUT: async ({ name, query, backend }) => json(await drainNode(name, query, meshOf(backend))),
    DELETE: async ({ name, backend }) => json(await undrainNode(name, meshOf(backend))),
  },
  "/services": { GET: ({ backend }) => jsonList("services", meshOf(backend).services()) },
  "/services/*": {
    GET: getService,
    DELETE: async ({ name, backend }) => json(await undeploy(name, meshOf(backend))),
  },
  "/deploy": { POST: async ({ request, backend }) => json(await deploy(request, meshOf(backend))) },
  "/revocations": {
    POST: async ({ request, backend }) => json(await revoke(request, meshOf(backend))),
  },
  "/flow": { GET: ({ backend }) => json(flowOf(backend).status()) },
  "/flow/flows": { GET: getFlows },
  "/flow/devices": { GET: ({ backend }) => json({ devices: flowOf(backend).devices() }) },
  "/flow/recording": { GET: getRecording },
  "/flow/policy": { GET: ({ backend }) => json({ policy: flowOf(backend).policy() }) },
  "/flow/policy/*": {
    PUT: async ({ request, name, backend }) =>
      json(await setPolicy(request, name, flowOf(backend))),
    DELETE: ({ name, backend }) => json(unsetPolicy(name, flowOf(backend))),
  },
  "/persona": {
    GET: ({ backend }) => json({ rules: flowOf(backend).rules() }),
    POST: async ({ request, backend }) => json(await addRule(request, flowOf(backend))),
  },
  "/persona/*": { DELETE: ({ name, backend }) => json(deleteRule(name, flowOf(backend))) },
  "/reload": { POST: async ({ backend }) => json(await reload(backend)) },
  "/stream": { GET: getStream },
  "/metrics": { GET: getMetrics },
  "/logs": { GET: getLogs },
  "/flight": {
    GET: ({ backend }) => ({
      status: 200,
      body: backend.readFlight(),
      contentType: "application/x-ndjson",
    }),
    POST: ({ backend }) => json({ file: backend.writeFlight() }),
  },
};

const NAMED_ROUTES = Object.keys(ROUTES)
  .filter((route) => route.includes("*"))
  .map((route) => ({ route, pattern: new RegExp(`^${route.replace("*", "([^/]+)")}$`) }));

/**
 * Answers one request.
 * @returns the reply to send, or null when a route sends by itself
 * @throws ApiError for every refusal
 */
export async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  backend: ApiBackend,
  followers: Followers,
): Promise<Reply | null> {
  const [path = "", search = ""] = splitOnce(request.url ?? "", "?");
  const { route, name } = routeOf(path);
  const methods = ROUTES[route];
  if (methods === undefined) throw unknownPath(path);
  const handler = Object.hasOwn(methods, request.method ?? "") && methods[request.method ?? ""];
  if (!handler) throw methodNotAllowed(request.method ?? "", Object.keys(methods));
  const query = new URLSearchParams(search);
  return handler({ request, response, query, name, backend, followers });
}

function routeOf(path: string): { route: string; name: string } {
  if (Object.hasOwn(ROUTES, path) && !path.includes("*")) return { route: path, name: "" };
  for (const { route, pattern } of NAMED_ROUTES) {
    const name = pattern.exec(path)?.[1];
    if (name !== undefined) return { route, name: decodeName(name) };
  }
  return { route: "", name: "" };
}

/** A name that is no valid escape stays as it is: no service is called so. */
function decodeName(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function getHealth({ backend }: Call): Reply {
  const health = backend.health();
  return json(health, health.ok ? 200 : 503);
}

function getService({ name, backend }: Call): Reply {
  const service = meshOf(backend).service(name);
  if (service === null) throw unknownService(name);
  return json(service);
}

function getStream({ response, backend }: Call): null {
  backend.events.add(response, backend.status());
  return null;
}

function getFlows({ query, backend }: Call): Reply {
  requireParameters(query, ["limit"]);
  const limit = wholeNumberOf(query, "limit", FLOWS_DEFAULT, API_FLOWS_MAX);
  return json({ flows: flowOf(backend).flows(limit) });
}

function getRecording({ response, backend, followers }: Call): null {
  recordFlow(response, flowOf(backend), followers);
  return null;
}

/** Reads the configuration again. @throws ApiError when it has mistakes */
export async function reload(backend: ApiBackend): Promise<ReloadAnswer> {
  const outcome = await backend.reload();
  if (!outcome.ok) {
    throw new ApiError(422, "configuration-invalid", "the configuration has mistakes", {
      hint: "nothing has changed: the settings in force are those of before",
      problems: outcome.problems,
    });
  }
  const { applied, restart } = outcome;
  return { applied, restart };
}

async function getMetrics({ backend, followers }: Call): Promise<Reply> {
  return { status: 200, ...(await renderMetrics(backend, followers)) };
}

async function getLogs({ query, response, backend, followers }: Call): Promise<null> {
  await sendLogs(query, response, meshOf(backend), followers);
  return null;
}

/** @throws ApiError while the mesh is off */
function meshOf({ mesh }: ApiBackend): MeshBackend {
  if (mesh !== null) return mesh;
  throw new ApiError(409, "mesh-off", "the mesh is off on this node: it is in no cluster", {
    hint: 'set "mesh: { enabled: true }" in the configuration and restart the daemon',
  });
}

/** @throws ApiError while the flow plane is off */
export function flowOf({ flow }: ApiBackend): FlowBackend {
  if (flow !== null) return flow;
  throw new ApiError(409, "flow-off", "the flow plane is off on this node", {
    hint: 'set "flow: { enabled: true }" in the configuration, then run "myco reload"',
  });
}

function json(body: unknown, status = 200): Reply {
  return { status, body: JSON.stringify(body) };
}

/** `{"NAME":[…]}`, one item at a time: a whole table as one text would not fit memory. */
function jsonList(name: string, items: Iterable<unknown>): Reply {
  function* pieces(): Generator<string> {
    let separator = `{${JSON.stringify(name)}:[`;
    for (const item of items) {
      yield separator + JSON.stringify(item);
      separator = ",";
    }
    yield separator === "," ? "]}" : `${separator}]}`;
  }
  return { status: 200, body: pieces() };
}

function splitOnce(text: string, separator: string): string[] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function unknownPath(path: string): ApiError {
  const paths = Object.keys(ROUTES).join(", ");
  return new ApiError(404, "unknown-path", `found the path ${JSON.stringify(path.slice(0, 200))}`, {
    hint: `allowed: ${paths.replaceAll("*", "NAME")}`,
  });
}

function methodNotAllowed(found: string, allowed: readonly string[]): ApiError {
  const list = allowed.join(", ");
  return new ApiError(405, "method-not-allowed", `found ${found}; allowed here: ${list}`, {
    headers: { allow: list },
  });
}
