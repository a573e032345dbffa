// The environment in which the daemon runs nix: a home and caches of its own, so that no user's
// settings reach a build, and what nix, git and curl need to reach a network.

import { join } from "node:path";
import { SYSTEM_PATH } from "../io/children.ts";

const HANDED_ON = [
  ...["http_proxy", "https_proxy", "all_proxy", "no_proxy"],
  ...["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"],
  ...["NIX_CONFIG", "NIX_REMOTE", "NIX_SSL_CERT_FILE", "SSL_CERT_FILE"],
];

/** @param env the daemon's own @param homeDir absolute */
export function nixEnvironment(
  env: Readonly<Record<string, string | undefined>>,
  homeDir: string,
): Readonly<Record<string, string>> {
  const environment: Record<string, string> = {
    PATH: SYSTEM_PATH,
    HOME: homeDir,
    XDG_CACHE_HOME: join(homeDir, ".cache"),
  };
  for (const name of HANDED_ON) {
    const value = env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}
