// How Node is started for the daemon, so that both planes fit its memory: whoever starts one
// (the demo, the tests, the unit file) uses exactly this command line.

/** Node's own arguments, before the program's file. */
export const DAEMON_NODE_FLAGS: readonly string[] = [
  "--max-old-space-size=24",
  "--max-semi-space-size=1",
  "--single-threaded",
  "--v8-pool-size=0",
];

/** One thread for the disk, and one heap of the C library for all threads. */
export const DAEMON_ENVIRONMENT: Readonly<Record<string, string>> = {
  UV_THREADPOOL_SIZE: "1",
  MALLOC_ARENA_MAX: "1",
};

/** The flags and variables this process was started without. */
export function missingRuntimeFlags(
  execArgv: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): string[] {
  const flags = DAEMON_NODE_FLAGS.filter((flag) => !execArgv.includes(flag));
  const variables = Object.entries(DAEMON_ENVIRONMENT)
    .filter(([name, value]) => environment[name] !== value)
    .map(([name, value]) => `${name}=${value}`);
  return [...variables, ...flags];
}
