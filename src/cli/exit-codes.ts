// How commands end, for scripts. The one place where the codes are given and told.

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  daemonUnreachable: 3,
  notFound: 4,
  refused: 5,
  timeout: 6,
  crashed: 70,
  interrupted: 130,
} as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** The end of `myco --help`. */
export const EXIT_CODES_HELP = `Exit codes:
  0    it worked; for health: all is well
  1    it failed; for health: something is not well
  2    the command line, the manifest or the configuration has a mistake
  3    no daemon answers on the socket
  4    what was named does not exist
  5    it is not allowed, or would overwrite something
  6    it took longer than --timeout; it goes on in the background
  70   the daemon crashed and wrote its flight recorder
  130  interrupted`;
