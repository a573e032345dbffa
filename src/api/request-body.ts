// Reads a request's body: of the type the route takes, and no longer than it may be.

import type { IncomingMessage } from "node:http";
import { API_BODY_BYTES_MAX } from "../kernel/limits.ts";
import { ApiError } from "./api-error.ts";

export const JSON_TYPE = "application/json";

/** The media type without its parameters, in lower case; empty when there is none. */
export function contentTypeOf(request: IncomingMessage): string {
  const [type = ""] = (request.headers["content-type"] ?? "").split(";");
  return type.trim().toLowerCase();
}

/**
 * The whole body, at most API_BODY_BYTES_MAX.
 * @throws ApiError 413 as soon as it is known to be longer
 */
export function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    const refuse = (): void => {
      request.removeAllListeners("data");
      // What is still on its way is thrown away: who sends it reads the answer only afterwards.
      request.resume();
      reject(tooLong());
    };
    request.once("end", () => resolve(Buffer.concat(chunks)));
    request.once("error", reject);
    request.on("data", (chunk: Buffer) => {
      sizeBytes += chunk.length;
      if (sizeBytes > API_BODY_BYTES_MAX) refuse();
      else chunks.push(chunk);
    });
    if (Number(request.headers["content-length"] ?? 0) > API_BODY_BYTES_MAX) refuse();
  });
}

/**
 * The body as a value of JSON.
 * @throws ApiError 415, 413, or 400 for what is no JSON
 */
export async function readJsonBody(request: IncomingMessage): Promise<unknown> {
  const type = contentTypeOf(request);
  if (type !== JSON_TYPE) throw unsupportedType(type, [JSON_TYPE]);
  const body = await readBody(request);
  try {
    return JSON.parse(body.toString("utf8")) as unknown;
  } catch (error) {
    throw new ApiError(400, "not-json", `the body is no JSON: ${(error as Error).message}`);
  }
}

function tooLong(): ApiError {
  return new ApiError(413, "body-too-long", `a body has at most ${API_BODY_BYTES_MAX} bytes`, {
    hint: "deploy fewer services at a time",
    headers: { connection: "close" },
  });
}

/** @throws ApiError 415 */
export function unsupportedType(found: string, allowed: readonly string[]): ApiError {
  return new ApiError(
    415,
    "unsupported-type",
    `found the content type ${found === "" ? "(none)" : JSON.stringify(found)}; allowed: ${allowed.join(", ")}`,
  );
}
