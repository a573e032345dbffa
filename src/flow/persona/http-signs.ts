// What HTTP's words and TLS' ALPN say of a flow beside its name. Sources: the IANA registries of
// media types and of ALPN protocol ids.

import type { Service } from "../interface.ts";

interface Meaning {
  readonly service: Service;
  readonly confidence: number;
}

const ALPN: ReadonlyMap<string, Meaning> = new Map(
  Object.entries({
    dot: { service: "system", confidence: 0.95 },
    doq: { service: "system", confidence: 0.95 },
    "doq-i00": { service: "system", confidence: 0.95 },
    "doq-i02": { service: "system", confidence: 0.95 },
    "doq-i03": { service: "system", confidence: 0.95 },
    "doq-i11": { service: "system", confidence: 0.95 },
    "stun.turn": { service: "voip_call", confidence: 0.7 },
    "stun.nat-discovery": { service: "voip_call", confidence: 0.7 },
    webrtc: { service: "voip_call", confidence: 0.7 },
    "c-webrtc": { service: "voip_call", confidence: 0.7 },
    "sip/2": { service: "voip_call", confidence: 0.9 },
    "xmpp-client": { service: "messaging", confidence: 0.9 },
    "xmpp-server": { service: "messaging", confidence: 0.9 },
    irc: { service: "messaging", confidence: 0.9 },
    ftp: { service: "bulk_dl", confidence: 0.9 },
    nntp: { service: "bulk_dl", confidence: 0.8 },
    nnsp: { service: "bulk_dl", confidence: 0.8 },
    smb: { service: "bulk_dl", confidence: 0.85 },
    "bep/1.0": { service: "file_sync", confidence: 0.95 },
    "bep-relay": { service: "file_sync", confidence: 0.95 },
    "ntske/1": { service: "system", confidence: 0.95 },
    sunrpc: { service: "bulk_dl", confidence: 0.7 },
    coap: { service: "system", confidence: 0.8 },
    "radius/1.0": { service: "system", confidence: 0.9 },
    "radius/1.1": { service: "system", confidence: 0.9 },
    "tds/8.0": { service: "unknown", confidence: 0.6 },
    "apns-security-v3": { service: "messaging", confidence: 0.5 },
    "apns-pack-v1": { service: "messaging", confidence: 0.5 },
  } satisfies Record<string, Meaning>),
);

/** Media types by their beginning; the longer ones first. */
const CONTENT: readonly (readonly [beginning: string, meaning: Meaning])[] = [
  ["application/vnd.apple.mpegurl", { service: "video_vod", confidence: 0.75 }],
  ["application/x-mpegurl", { service: "video_vod", confidence: 0.75 }],
  ["application/dash+xml", { service: "video_vod", confidence: 0.75 }],
  ["application/x-bittorrent", { service: "torrent", confidence: 0.9 }],
  ["application/x-rtsp-tunnelled", { service: "video_live", confidence: 0.9 }],
  ["application/x-fcs", { service: "video_live", confidence: 0.8 }],
  ["application/dns-message", { service: "system", confidence: 0.9 }],
  ["video/mp2t", { service: "video_vod", confidence: 0.7 }],
  ["video/", { service: "video_vod", confidence: 0.7 }],
  ["audio/", { service: "video_vod", confidence: 0.55 }],
  ["application/vnd.debian", { service: "bulk_dl", confidence: 0.85 }],
  ["application/x-debian", { service: "bulk_dl", confidence: 0.85 }],
  ["application/x-rpm", { service: "bulk_dl", confidence: 0.85 }],
  ["application/vnd.android.package", { service: "bulk_dl", confidence: 0.85 }],
  ["application/x-msdownload", { service: "bulk_dl", confidence: 0.8 }],
  ["application/x-msdos-program", { service: "bulk_dl", confidence: 0.8 }],
  ["application/x-dosexec", { service: "bulk_dl", confidence: 0.8 }],
  ["application/x-executable", { service: "bulk_dl", confidence: 0.8 }],
  ["application/vnd.ms-cab", { service: "bulk_dl", confidence: 0.85 }],
  ["application/zip", { service: "bulk_dl", confidence: 0.7 }],
  ["application/x-zip", { service: "bulk_dl", confidence: 0.7 }],
  ["application/x-gzip", { service: "bulk_dl", confidence: 0.6 }],
  ["application/x-tar", { service: "bulk_dl", confidence: 0.75 }],
  ["application/x-xz", { service: "bulk_dl", confidence: 0.75 }],
  ["application/x-bzip", { service: "bulk_dl", confidence: 0.75 }],
  ["application/x-7z", { service: "bulk_dl", confidence: 0.75 }],
  ["application/x-rar", { service: "bulk_dl", confidence: 0.75 }],
  ["application/x-iso9660", { service: "bulk_dl", confidence: 0.85 }],
  ["application/java-archive", { service: "bulk_dl", confidence: 0.75 }],
  ["application/octet-stream", { service: "bulk_dl", confidence: 0.55 }],
  ["application/binary", { service: "bulk_dl", confidence: 0.5 }],
];

const FILE_ENDINGS =
  /\.(?:exe|msi|cab|psf|msu|esd|deb|udeb|rpm|apk|apks|xapk|ipa|dmg|pkg|iso|img|zip|7z|rar|tar|tgz|gz|xz|bz2|zst|bin|whl|jar|nupkg|vpk|pak|mpq)$/;
const STREAM_ENDINGS =
  /\.(?:m3u8|mpd|m4s|ts|mp4|m4v|m4a|webm|flv|f4v|mkv|avi|wmv|mov|3gp|ism|ismv|aac|mp3)$/;
const LIVE_WORDS =
  /\/live(?:sim|stream|tv|hls|dash|event)?s?(?:[-_0-9]|\/)|\/hls-live|\/dash-live|\/iptv/;

/** What a client's ALPN ids say, or null when they only say HTTP. */
export function alpnMeaning(alpn: readonly string[]): Meaning | null {
  for (const id of alpn) {
    const meaning = ALPN.get(id);
    if (meaning !== undefined) return meaning;
  }
  return null;
}

export function contentMeaning(contentType: string | null): Meaning | null {
  if (contentType === null) return null;
  const type = contentType.toLowerCase();
  return CONTENT.find(([beginning]) => type.startsWith(beginning))?.[1] ?? null;
}

/** What the target's path says: a tracker's query, a stream, a file. */
export function targetMeaning(httpTarget: string | null): Meaning | null {
  if (httpTarget === null) return null;
  if (httpTarget.includes("info_hash=")) return { service: "torrent", confidence: 0.95 };
  const [path = ""] = httpTarget.toLowerCase().split("?");
  if (LIVE_WORDS.test(path)) return { service: "video_live", confidence: 0.7 };
  if (STREAM_ENDINGS.test(path)) return { service: "video_vod", confidence: 0.65 };
  if (FILE_ENDINGS.test(path)) return { service: "bulk_dl", confidence: 0.55 };
  return null;
}
