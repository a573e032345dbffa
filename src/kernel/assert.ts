// Assertions state what must hold at a boundary. They stay on in production: a node that
// has lost an invariant must stop and replay its log rather than gossip nonsense.

/** Thrown when the program, not its input, is wrong. Never caught inside a plane. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Stops the caller when `condition` is false. `message` says what should have held. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}
