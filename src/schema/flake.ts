// Where a service's program comes from: Nix flake references (Nix manual, "nix flake",
// Flake references), and how one that names a folder becomes one any node understands.

/** Printable ASCII that cannot be taken for an option of a command line. */
const FLAKE = /^[A-Za-z0-9/][!-~]*$/;
const RELATIVE = /^(?:path:|git\+file:)?\.{1,2}(?:$|[/?#])|^path:(?![/.])/;

/** `.`, `./app#server`, `path:.`: means something only beside the manifest. */
export function isRelativeFlake(flake: string): boolean {
  return RELATIVE.test(flake);
}

/** Whether every node of the cluster can make sense of it, reachable or not. */
export function isClusterFlake(flake: string): boolean {
  return FLAKE.test(flake) && !isRelativeFlake(flake);
}

/**
 * A relative flake as an absolute one below `directory`; any other as it is.
 * @param directory absolute, without a slash at the end unless it is the root
 */
export function resolveFlake(flake: string, directory: string): string {
  if (!isRelativeFlake(flake)) return flake;
  const scheme = flake.startsWith("git+file:") ? "git+file:" : "path:";
  const reference = flake.startsWith(scheme) ? flake.slice(scheme.length) : flake;
  const tailStart = reference.search(/[?#]/);
  const path = tailStart === -1 ? reference : reference.slice(0, tailStart);
  const tail = tailStart === -1 ? "" : reference.slice(tailStart);
  return `${scheme}${joinPath(directory, path)}${tail}`;
}

function joinPath(directory: string, relative: string): string {
  const segments: string[] = [];
  for (const segment of `${directory}/${relative}`.split("/")) {
    if (segment === "..") segments.pop();
    else if (segment !== "" && segment !== ".") segments.push(segment);
  }
  return `/${segments.join("/")}`;
}
