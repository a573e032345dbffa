// What can go wrong in the lab, each with a stable code.

/** Any failure of the lab itself or of what a test expected of a guest. */
export class LabError extends Error {
  override readonly name: string = "LabError";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** A command in a guest ended otherwise than the test said it must. */
export class CommandError extends LabError {
  override readonly name = "CommandError";

  constructor(message: string) {
    super("command", message);
  }
}

/** Something awaited did not come in time. */
export class WaitError extends LabError {
  override readonly name = "WaitError";

  constructor(message: string) {
    super("wait", message);
  }
}

/** The guest is not there: not started, switched off, crashed, or silent. */
export class GuestGoneError extends LabError {
  override readonly name = "GuestGoneError";

  constructor(message: string) {
    super("guest-gone", message);
  }
}

/** This host lacks what the lab needs; `missing` names each thing. */
export class HostLacksError extends LabError {
  override readonly name = "HostLacksError";
  readonly missing: readonly string[];

  constructor(missing: readonly string[], hint: string) {
    super(
      "host-lacks",
      `the lab needs what this host does not have: ${missing.join(", ")}\n${hint}`,
    );
    this.missing = missing;
  }
}

/** Thrown by a test that cannot run here; it counts as skipped, with its reason. */
export class SkipTest extends LabError {
  override readonly name = "SkipTest";

  constructor(reason: string) {
    super("skip", reason);
  }
}
