// QUIC's Initial packets are opened and their ClientHello put together, however it is split.

import { gcm } from "@noble/ciphers/aes.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { QuicCrypto } from "../../src/flow/ports.ts";
import { StreamPool } from "../../src/flow/tap/byte-stream.ts";
import { QuicHandshake, QuicReader, quicVersion } from "../../src/flow/tap/quic.ts";
import { parseClientHello } from "../../src/flow/tap/tls.ts";
import { NodeQuicCrypto } from "../../src/io/quic-crypto.ts";
import { toHex } from "../../src/schema/node-id.ts";
import {
  clientHello,
  cryptoFrame,
  googleHello,
  headerMask,
  hex,
  initialKeys,
  initialPacket,
  QUIC_VERSIONS,
  type QuicVersionName,
} from "./handshakes.ts";
import { ascii, bytesOf } from "./packets.ts";

const crypto: QuicCrypto = new NodeQuicCrypto();
const connectionId = hex("8394c8f03e515708");
const versionNames = Object.keys(QUIC_VERSIONS) as QuicVersionName[];

/** The frames of RFC 9001, A.2, before they are padded to 1162 bytes. */
const RFC_CRYPTO_FRAME = hex(`
  060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868
  04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578
  616d706c652e636f6dff01000100000a00080006001d00170018001000070005
  04616c706e000500050100000000003300260024001d00209370b2c9caa47fba
  baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400
  0d0010000e0403050306030203080408050806002d00020101001c0002400100
  3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000
  75300901100f088394c8f03e51570806048000ffff`);
const rfcFrames = [...RFC_CRYPTO_FRAME, ...new Array(1162 - RFC_CRYPTO_FRAME.length).fill(0)];

function readAll(datagrams: readonly (readonly number[])[]) {
  const pool = new StreamPool(2);
  const reader = new QuicReader(crypto, pool);
  const flow = new QuicHandshake();
  const hellos = datagrams.map((datagram) => {
    const bytes = bytesOf(datagram);
    return reader.read(flow, bytes, 0, bytes.length);
  });
  return { flow, hellos };
}

describe("the ciphers", () => {
  const key16 = fc.uint8Array({ minLength: 16, maxLength: 16 });

  test("agree with another implementation of them", () => {
    fc.assert(
      fc.property(
        key16,
        fc.uint8Array({ minLength: 12, maxLength: 12 }),
        fc.uint8Array({ maxLength: 64 }),
        fc.uint8Array({ maxLength: 300 }),
        (key, nonce, aad, text) => {
          const sealed = gcm(key, nonce, aad).encrypt(text);
          expect(crypto.aes128GcmOpen(key, nonce, aad, sealed)).toEqual(text);
          expect(crypto.hmacSha256(key, text)).toEqual(hmac(sha256, key, text));
          const block = bytesOf(nonce, [1, 2, 3, 4]);
          expect(crypto.aes128Block(key, block).subarray(0, 5)).toEqual(headerMask(key, block));
        },
      ),
    );
  });

  test("refuse a text of which one bit was changed, and one shorter than its tag", () => {
    const key = new Uint8Array(16).fill(1);
    const nonce = new Uint8Array(12).fill(2);
    const sealed = gcm(key, nonce).encrypt(new Uint8Array(40));
    fc.assert(
      fc.property(fc.nat(sealed.length * 8 - 1), (bit) => {
        const changed = sealed.slice();
        changed[bit >>> 3]! ^= 1 << (bit & 7);
        expect(crypto.aes128GcmOpen(key, nonce, new Uint8Array(0), changed)).toBeNull();
      }),
    );
    expect(crypto.aes128GcmOpen(key, nonce, new Uint8Array(0), new Uint8Array(15))).toBeNull();
  });
});

describe("published vectors", () => {
  test("keys and header mask of RFC 9001, A.1 and A.2", () => {
    const client = initialKeys("v1", connectionId, "client in");
    expect(toHex(client.key)).toBe("1f369613dd76d5467730efcbe3b1a22d");
    expect(toHex(client.iv)).toBe("fa044b2f42a3fd3b46fb255c");
    expect(toHex(client.hp)).toBe("9f50449e04a0e810283a1e9933adedd2");
    const server = initialKeys("v1", connectionId, "server in");
    expect(toHex(server.key)).toBe("cf3a5331653c364c88f0f379b6067e37");
    const sample = hex("d1b1c98dd7689fb8ec11d242b123dc9b");
    expect(toHex(crypto.aes128Block(client.hp, sample).subarray(0, 5))).toBe("437b9aec36");
  });

  test("the client's Initial of RFC 9001, A.2 shows its server name", () => {
    const packet = initialPacket({
      version: "v1",
      connectionId,
      packetNumber: 2,
      numberBytes: 4,
      frames: rfcFrames,
    });
    // Our builder names a source connection id, the RFC's client does not: its header is sealed anew.
    expect(readAll([packet]).hellos[0]).toMatchObject({
      serverName: "example.com",
      alpn: ["alpn"],
    });
  });

  test("keys of RFC 9369, A.1", () => {
    const client = initialKeys("v2", connectionId, "client in");
    expect(toHex(client.key)).toBe("8b1a0bc121284290a29e0971b5cd045d");
    expect(toHex(client.iv)).toBe("91f73e2351d8fa91660e909f");
    expect(toHex(client.hp)).toBe("45b95e15235d6f45a6b19cbcb0294ba9");
  });
});

describe("a client's hello", () => {
  const hello = clientHello({
    serverName: "media.example.net",
    alpn: ["h3"],
    quicUserAgent: "Chrome/120",
    paddingBytes: 900,
  });

  test("is read in every version, with every length of packet number and any token", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...versionNames),
        fc.uint8Array({ minLength: 0, maxLength: 20 }),
        fc.constantFrom(1, 2, 3, 4) as fc.Arbitrary<1 | 2 | 3 | 4>,
        fc.nat(255),
        fc.uint8Array({ maxLength: 100 }),
        (version, id, numberBytes, packetNumber, token) => {
          const packet = initialPacket({
            ...{ version, connectionId: id, numberBytes, packetNumber },
            token: Array.from(token),
            frames: cryptoFrame(0, hello),
          });
          const { hellos, flow } = readAll([packet]);
          expect(hellos[0]).toEqual({
            serverName: "media.example.net",
            alpn: ["h3"],
            encryptedClientHello: false,
            userAgent: "Chrome/120",
          });
          expect(flow.isDone).toBe(true);
        },
      ),
      { numRuns: 60 },
    );
  });

  test("is put together from frames in any order over any number of packets, some coalesced", () => {
    const cuts = fc.uniqueArray(fc.integer({ min: 1, max: hello.length - 1 }), { maxLength: 7 });
    const shape = cuts.chain((borders) => {
      const sorted = [0, ...borders.sort((a, b) => a - b), hello.length];
      const frames = sorted
        .slice(0, -1)
        .map((start, i) => cryptoFrame(start, hello.slice(start, sorted[i + 1])));
      const shuffled = fc.shuffledSubarray(frames, { minLength: frames.length });
      return fc.tuple(shuffled, fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }));
    });
    fc.assert(
      fc.property(shape, ([frames, coalesce]) => {
        const packets = frames.map((frame, packetNumber) =>
          initialPacket({ version: "v1", connectionId, packetNumber, frames: [1, ...frame, 0, 0] }),
        );
        const datagrams: number[][] = [];
        for (const [index, packet] of packets.entries()) {
          const last = datagrams.at(-1);
          if (coalesce[index] && last !== undefined && last.length < 3_000) last.push(...packet);
          else datagrams.push([...packet]);
        }
        const { hellos, flow } = readAll(datagrams.map((datagram) => datagram));
        const told = hellos.filter((each) => each !== null);
        expect(told.at(-1)?.serverName).toBe("media.example.net");
        expect(flow.isDone).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  test("is read again after a Retry has changed the keys", () => {
    const first = initialPacket({
      ...{ version: "v1", connectionId },
      frames: cryptoFrame(0, hello.slice(0, 500)),
    });
    const retryId = hex("0102030405060708");
    const second = initialPacket({
      ...{ version: "v1", connectionId: retryId, token: [9, 9, 9] },
      frames: cryptoFrame(0, hello),
    });
    expect(readAll([first, second]).hellos[1]?.serverName).toBe("media.example.net");
  });

  test("goes on under the first keys when the destination becomes the server's own", () => {
    const first = initialPacket({
      ...{ version: "v2", connectionId },
      frames: cryptoFrame(0, hello.slice(0, 500)),
    });
    const second = initialPacket({
      ...{ version: "v2", connectionId, destinationId: hex("aabbccdd") },
      frames: [2, 0, 0, 0, 0, ...cryptoFrame(500, hello.slice(500))],
    });
    expect(readAll([first, second]).hellos[1]?.serverName).toBe("media.example.net");
  });

  test("is found behind padding of any length", () => {
    const padding = new Array(700).fill(0);
    const frames = [
      ...padding,
      1,
      ...padding,
      ...cryptoFrame(0, clientHello({ serverName: "a.b" })),
    ];
    const packet = initialPacket({ version: "v1", connectionId, frames });
    expect(readAll([packet]).hellos[0]?.serverName).toBe("a.b");
  });

  test("is not looked for in what a server sends", () => {
    const packet = initialPacket({
      ...{ version: "v1", connectionId, side: "server in" },
      frames: cryptoFrame(0, hello),
    });
    const { hellos, flow } = readAll([packet]);
    expect(hellos[0]).toBeNull();
    expect(flow.isDone).toBe(false);
  });
});

describe("Google's own hello", () => {
  const hello = googleHello({
    PAD: "-".repeat(40),
    SNI: "www.example.com",
    UAID: "beta Chrome/70",
  });
  const told = { serverName: "www.example.com", userAgent: "beta Chrome/70" };

  test("is read behind the public header of Q043", () => {
    const datagram = [
      ...[0x09, 1, 2, 3, 4, 5, 6, 7, 8, ...ascii("Q043"), 1],
      ...new Array(12).fill(0x77),
      ...[0xa0, 0x01, 0x04, 0x00, ...hello],
    ];
    const { hellos, flow } = readAll([datagram]);
    expect(hellos[0]).toMatchObject(told);
    expect(flow.isDone).toBe(true);
  });

  test("is read behind the long header of Q046", () => {
    const datagram = [
      ...[0xc3, ...ascii("Q046"), 0x50, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1],
      ...new Array(12).fill(0x77),
      ...[0xa0, 0x01, 0x04, 0x00, ...hello],
    ];
    expect(readAll([datagram]).hellos[0]).toMatchObject(told);
  });
});

test("drafts that nobody published are QUIC that stays closed", () => {
  const datagram = bytesOf([0xc0, 0xff, 0, 0, 0xa0, 4, 1, 2, 3, 4, 0, 0], new Array(60).fill(7));
  expect(quicVersion(datagram, 0, datagram.length)).toBe(0xff0000a0);
  expect(readAll([Array.from(datagram)]).hellos).toEqual([null]);
  datagram[5] = 21;
  expect(quicVersion(datagram, 0, datagram.length)).toBeNull();
});

describe("hostile datagrams", () => {
  test("no bytes make the reader throw, whatever came before", () => {
    const reader = new QuicReader(crypto, new StreamPool(1));
    const start = fc.constantFrom(
      [],
      [0xc0, 0, 0, 0, 1, 8],
      [0xd0, 0x6b, 0x33, 0x43, 0xcf, 8],
      [0xc0, ...ascii("T051"), 8],
      [0x09, 1, 2, 3, 4, 5, 6, 7, 8, ...ascii("Q043"), ...ascii("CHLO")],
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(start, fc.uint8Array({ maxLength: 200 }))), (datagrams) => {
        const flow = new QuicHandshake();
        for (const [head, rest] of datagrams) {
          const bytes = bytesOf(head, rest);
          reader.read(flow, bytes, 0, bytes.length);
          quicVersion(bytes, 0, bytes.length);
        }
        reader.finish(flow);
      }),
    );
  });

  test("sealed frames of any content make the reader neither throw nor loop", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (frames) => {
        readAll([initialPacket({ version: "v1", connectionId, frames: Array.from(frames) })]);
      }),
      { numRuns: 60 },
    );
  });

  test("a packet cut anywhere tells nothing, and the whole one after it all", () => {
    const packet = initialPacket({
      ...{ version: "v1", connectionId },
      frames: cryptoFrame(0, clientHello({ serverName: "a.example" })),
    });
    fc.assert(
      fc.property(fc.integer({ min: 0, max: packet.length - 1 }), (cut) => {
        const { hellos } = readAll([packet.slice(0, cut), packet]);
        expect(hellos[0]).toBeNull();
        expect(hellos[1]?.serverName).toBe("a.example");
      }),
      { numRuns: 60 },
    );
  });

  test("a flow stops being opened after a bounded number of packets", () => {
    const other = initialPacket({ version: "v1", connectionId, side: "server in", frames: [1] });
    const { flow } = readAll(new Array(20).fill(other));
    expect(flow.isDone).toBe(true);
  });
});

test("the hello inside RFC 9001's CRYPTO frame is read without its packet too", () => {
  const hello = parseClientHello(RFC_CRYPTO_FRAME, 4, RFC_CRYPTO_FRAME.length);
  expect(hello?.serverName).toBe("example.com");
});
