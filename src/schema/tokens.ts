// One byte for the beginnings that services share. A token stands in the first byte of a
// text, from 0x80 to 0xbf: no UTF-8 text begins with one of those (RFC 3629), so a text
// without a token needs no escape. The number is the place in its table, and records are
// signed with it: tables are only ever appended to, and a new entry is written by a release
// only after one that reads it.

import { assert } from "../kernel/assert.ts";
import { FormatError } from "./varint.ts";

/** Beginnings of a kind of text; the index is the token. */
export type TokenTable = readonly string[];

const TOKEN_FIRST = 0x80;
const TOKENS_MAX = 0x40;

/** For texts that share nothing. */
export const NO_TOKENS: TokenTable = [];

export const FLAKE_TOKENS: TokenTable = [
  "github:",
  "gitlab:",
  "sourcehut:~",
  "git+https://",
  "git+ssh://git@",
  "git+ssh://",
  "git+file:///",
  "git+http://",
  "path:/",
  "tarball+https://",
  "https://",
  "http://",
  "nixpkgs#",
  "nixpkgs/",
  "flake:",
  "github:NixOS/",
  "github:NixOS/nixpkgs/nixos-",
  "github:NixOS/nixpkgs/nixos-unstable#",
  "github:NixOS/nixpkgs/nixpkgs-unstable#",
  "github:NixOS/nixpkgs#",
  "github:nix-community/",
  "git+https://github.com/",
  "git+https://gitlab.com/",
  "git+https://codeberg.org/",
  "git+https://git.sr.ht/~",
  "git+ssh://git@github.com/",
  "git+ssh://git@gitlab.com/",
  "path:/home/",
  "path:/srv/",
  "path:/etc/nixos",
  "path:/nix/store/",
  "https://flakehub.com/f/",
];

export const EXEC_TOKENS: TokenTable = [
  "bin/",
  "sbin/",
  "libexec/",
  "bin/server",
  "bin/start",
  "/bin/",
  "/bin/sh",
  "/usr/bin/",
  "/usr/bin/env",
  "/usr/bin/node",
  "/usr/bin/python3",
  "/usr/sbin/",
  "/usr/local/bin/",
  "/usr/libexec/",
  "/nix/store/",
  "/run/current-system/sw/bin/",
  "/opt/",
  "/srv/",
];

/** Arguments, and the values of environment variables. */
export const ARGUMENT_TOKENS: TokenTable = [
  "--",
  "--port",
  "--port=",
  "--host",
  "--host=",
  "--config",
  "--config=",
  "--listen",
  "--listen=",
  "--listen-address=",
  "--bind",
  "--bind=",
  "--address",
  "--address=",
  "--data-dir",
  "--data-dir=",
  "--log-level",
  "--log-level=",
  "--user",
  "--root",
  "--dir",
  "--file",
  "--workers",
  "--threads",
  "--verbose",
  "--no-",
  "--enable-",
  "--with-",
  "-c",
  "-f",
  "-p",
  "-d",
  "serve",
  "server",
  "start",
  "run",
  "daemon",
  "agent",
  "migrate",
  "exec ",
  "0.0.0.0",
  "0.0.0.0:",
  "127.0.0.1",
  "127.0.0.1:",
  "localhost",
  "[::]:",
  "/var/lib/",
  "/var/log/",
  "/etc/",
  "/run/",
  "/tmp/",
  "/srv/",
  "http://",
  "https://",
  "postgres://",
  "redis://",
  "true",
  "false",
  "info",
  "debug",
  "production",
  "8080",
];

export const ENV_NAME_TOKENS: TokenTable = [
  "PORT",
  "HOST",
  "HOME",
  "PATH",
  "LANG",
  "LC_ALL",
  "TZ",
  "USER",
  "DEBUG",
  "NODE_ENV",
  "NODE_OPTIONS",
  "LOG_LEVEL",
  "RUST_LOG",
  "RUST_BACKTRACE",
  "PYTHONUNBUFFERED",
  "GOMAXPROCS",
  "DATABASE_URL",
  "REDIS_URL",
  "BASE_URL",
  "PUBLIC_URL",
  "LISTEN_",
  "BIND_",
  "LISTEN_ADDR",
  "BIND_ADDRESS",
  "DATA_DIR",
  "CONFIG_",
  "CACHE_",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "HTTP_",
  "POSTGRES_",
  "REDIS_",
  "MYCO_",
  "XDG_",
  "SSL_CERT_FILE",
];

export const HTTP_PATH_TOKENS: TokenTable = [
  "/health",
  "/healthz",
  "/healthcheck",
  "/health/",
  "/-/healthy",
  "/-/ready",
  "/ready",
  "/readyz",
  "/live",
  "/livez",
  "/status",
  "/metrics",
  "/ping",
  "/api/",
  "/api/health",
  "/api/v1/",
  "/index.html",
];

export const DEVICE_TOKENS: TokenTable = [
  "/dev/",
  "/dev/dri",
  "/dev/dri/renderD128",
  "/dev/kvm",
  "/dev/net/tun",
  "/dev/ttyUSB",
  "/dev/ttyACM",
  "/dev/ttyS",
  "/dev/snd",
  "/dev/video",
  "/dev/nvidia",
  "/dev/bus/usb",
  "/dev/i2c-",
  "/dev/gpiochip",
  "/dev/fuse",
  "/dev/serial/by-id/",
];

for (const table of [
  FLAKE_TOKENS,
  EXEC_TOKENS,
  ARGUMENT_TOKENS,
  ENV_NAME_TOKENS,
  HTTP_PATH_TOKENS,
  DEVICE_TOKENS,
]) {
  assert(table.length <= TOKENS_MAX, "a token is one byte from 0x80 to 0xbf");
}

const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8, its longest known beginning as a token. */
export function encodeText(text: string, table: TokenTable): Uint8Array {
  let token = -1;
  for (let index = 0; index < table.length; index += 1) {
    const beginning = table[index]!;
    const isLonger = token === -1 || beginning.length > table[token]!.length;
    if (isLonger && text.startsWith(beginning)) token = index;
  }
  if (token === -1) return textEncoder.encode(text);
  const rest = textEncoder.encode(text.slice(table[token]!.length));
  const bytes = new Uint8Array(1 + rest.length);
  bytes[0] = TOKEN_FIRST + token;
  bytes.set(rest, 1);
  return bytes;
}

/** The text of `encodeText`. Throws FormatError for an unknown token and for what is not UTF-8. */
export function decodeText(bytes: Uint8Array, table: TokenTable): string {
  const first = bytes[0] ?? 0;
  if (first < TOKEN_FIRST || first >= TOKEN_FIRST + TOKENS_MAX) return decodeUtf8(bytes);
  const beginning = table[first - TOKEN_FIRST];
  if (beginning === undefined) throw new FormatError(`token ${first} is not known here`);
  return beginning + decodeUtf8(bytes.subarray(1));
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return textDecoder.decode(bytes);
  } catch {
    throw new FormatError("a text is not UTF-8");
  }
}
