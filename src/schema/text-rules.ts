// What names and texts may hold, for services, nodes, manifests and the configuration alike.

/** A host's label (RFC 1123), in lower case. */
export const HOST_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** A service's name: a label that begins with a letter (RFC 1035). */
export const SERVICE_NAME = /^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** A port's name, as SRV records carry it (RFC 6335: at most 15 characters). */
export const PORT_NAME = /^[a-z](?:[a-z0-9-]{0,13}[a-z0-9])?$/;
/** An environment variable's name, as every shell can write it. */
export const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
/** A file in the node's folder of secrets, which is a credential's name too. */
export const SECRET_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
/** A git commit, in SHA-1 or SHA-256. */
export const GIT_COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
/** A hash of a file tree as Nix prints it (SRI, RFC 4648 base64 of 32 bytes). */
export const NAR_HASH = /^sha256-[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/;
export const LABEL_NAME = /^[a-z0-9](?:[a-z0-9._/-]{0,61}[a-z0-9])?$/;
/** A device file. No segment begins with a dot, so that none climbs out of /dev. */
export const DEVICE_PATH = /^\/dev(?:\/[A-Za-z0-9_:@,+-][A-Za-z0-9_:@,+.-]*)+$/;

/** Control characters, half surrogates, line separators, the byte order mark and what Unicode calls no character. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\ufeff\p{Noncharacter_Code_Point}]/u;

const textEncoder = new TextEncoder();

/** Bytes of `text` in UTF-8. */
export function utf8Length(text: string): number {
  return textEncoder.encode(text).length;
}

/** Whether `text` is free of characters that could fake a line or end a string, and short enough. */
export function isPlainText(text: string, bytesMax: number): boolean {
  if (UNPRINTABLE.test(text)) return false;
  return text.length * 3 <= bytesMax || utf8Length(text) <= bytesMax;
}

/** Whether names stand in ascending order, each once. */
export function isSortedByName(
  pairs: readonly (readonly [name: string, value: string])[],
): boolean {
  return pairs.every((pair, index) => index === 0 || pairs[index - 1]![0] < pair[0]);
}

/** Whether texts stand in ascending order, each once. */
export function isSorted(texts: readonly string[]): boolean {
  return texts.every((text, index) => index === 0 || texts[index - 1]! < text);
}

/** Whether a port number can be listened on or dialled. */
export function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}

/** A machine's own name (`Node-1.example.org`) as a host label; `node` when nothing of it is left. */
export function hostLabelOf(machineName: string): string {
  const [first = ""] = machineName.toLowerCase().split(".");
  const label = first
    .replaceAll(/[^a-z0-9-]/g, "-")
    .slice(0, 63)
    .replaceAll(/^-+|-+$/g, "");
  return label === "" ? "node" : label;
}
