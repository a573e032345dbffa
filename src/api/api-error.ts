// A request that is refused: which status, which stable code, and what to do about it.

import type { DeployedService, ErrorAnswer } from "./contract.ts";

export interface ApiErrorDetails {
  readonly hint?: string;
  readonly problems?: readonly string[];
  readonly written?: readonly DeployedService[];
  /** Further headers, such as `allow`. */
  readonly headers?: Readonly<Record<string, string>>;
}

export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly status: number;
  readonly code: string;
  readonly details: ApiErrorDetails;

  constructor(status: number, code: string, message: string, details: ApiErrorDetails = {}) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
  }

  /** The answer's body. */
  toAnswer(): ErrorAnswer {
    const { hint, problems, written } = this.details;
    return {
      error: {
        code: this.code,
        message: this.message,
        ...(hint === undefined ? {} : { hint }),
        ...(problems === undefined ? {} : { problems }),
        ...(written === undefined ? {} : { written }),
      },
    };
  }
}
