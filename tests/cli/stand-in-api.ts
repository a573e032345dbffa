// An API on a real unix socket that answers what a test tells it to, and notes what was asked.
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly contentType: string;
  readonly body: Buffer;
}

export type Answerer = (asked: Asked) => { status?: number; body: unknown };

export class StandInApi {
  readonly socket: string;
  readonly asked: Asked[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), "myco-api-"));
  readonly #server: Server;

  private constructor(answer: Answerer) {
    this.socket = join(this.#folder, "sock");
    this.#server = createServer(async (request, response) => {
      const asked = await readRequest(request);
      this.asked.push(asked);
      const { status = 200, body } = answer(asked);
      const isText = typeof body === "string";
      response.writeHead(status, { "content-type": isText ? "text/plain" : "application/json" });
      response.end(isText ? body : JSON.stringify(body));
    });
  }

  static async start(answer: Answerer): Promise<StandInApi> {
    const api = new StandInApi(answer);
    api.#server.listen(api.socket);
    await once(api.#server, "listening");
    return api;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
    rmSync(this.#folder, { recursive: true });
  }
}

async function readRequest(request: IncomingMessage): Promise<Asked> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return {
    method: request.method ?? "",
    path: request.url ?? "",
    contentType: request.headers["content-type"] ?? "",
    body: Buffer.concat(chunks),
  };
}
