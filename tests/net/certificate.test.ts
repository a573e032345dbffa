import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CERTIFICATE_BYTES_MAX } from "../../src/kernel/limits.ts";
import {
  type CertificateFields,
  hasRole,
  issueCertificate,
  ROLES,
  readCertificate,
} from "../../src/net/certificate.ts";
import { identityFromSeed, KEY_SEED_BYTES } from "../../src/net/identity.ts";
import { nodeIdOf } from "../../src/schema/node-id.ts";
import { crypto, fieldsOf, flipped, identityOf, root } from "./nodes.ts";

const fields: fc.Arbitrary<CertificateFields> = fc.record({
  publicKey: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  zone: fc.integer({ min: 0, max: 255 }),
  roles: fc.integer({ min: 0, max: 255 }),
  notAfterSeconds: fc.integer({ min: 0, max: 0xffff_ffff }),
  revocationBlock: fc.maxSafeNat(),
});
const read = (bytes: Uint8Array) => readCertificate(crypto, root.publicKey, bytes);

test("given any fields, when issued and read, then they come back with the key's node id", () => {
  fc.assert(
    fc.property(fields, (given) => {
      const bytes = issueCertificate(root.signer, given);
      expect(bytes.length).toBeLessThanOrEqual(CERTIFICATE_BYTES_MAX);
      const { notAfterSeconds, ...rest } = given;
      expect(read(bytes)).toEqual({
        ...rest,
        nodeId: nodeIdOf(crypto, given.publicKey),
        notAfterMs: notAfterSeconds * 1000,
      });
    }),
  );
});

test("a usual certificate is 104 bytes", () => {
  expect(issueCertificate(root.signer, fieldsOf(identityOf("node").publicKey))).toHaveLength(104);
});

test("the certificate read does not hold on to the packet it came in", () => {
  const bytes = issueCertificate(root.signer, fieldsOf(identityOf("node").publicKey));
  const certificate = read(bytes);
  bytes.fill(0);
  expect(certificate?.publicKey).toEqual(identityOf("node").publicKey);
});

describe("null", () => {
  const bytes = issueCertificate(root.signer, fieldsOf(identityOf("node").publicKey));

  test("when any byte is changed", () => {
    for (let i = 0; i < bytes.length; i += 1) expect(read(flipped(bytes, i)), `${i}`).toBeNull();
  });

  test("when it is cut short or goes on", () => {
    for (let length = 0; length < bytes.length; length += 1) {
      expect(read(bytes.subarray(0, length)), `${length}`).toBeNull();
    }
    expect(read(Uint8Array.of(...bytes, 0))).toBeNull();
  });

  test("when another root signed it", () => {
    expect(readCertificate(crypto, identityOf("other").publicKey, bytes)).toBeNull();
  });

  test("when the root signed the same bytes without the context", () => {
    const unsigned = bytes.subarray(0, bytes.length - 64);
    expect(read(Uint8Array.of(...unsigned, ...root.signer.sign(unsigned)))).toBeNull();
  });

  test("for arbitrary bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (arbitrary) => {
        expect(read(arbitrary)).toBeNull();
        expect(read(Uint8Array.of(1, ...arbitrary))).toBeNull();
      }),
    );
  });
});

test("a role is held when its bit is set, whatever the others", () => {
  fc.assert(
    fc.property(fields, (given) => {
      const certificate = read(issueCertificate(root.signer, given))!;
      for (const role of ["member", "deployer", "router"] as const) {
        expect(hasRole(certificate, role)).toBe((given.roles & ROLES[role]) > 0);
      }
    }),
    { numRuns: 20 },
  );
});

test("the program stops rather than sign fields that do not fit", () => {
  const usual = fieldsOf(root.publicKey);
  for (const wrong of [
    { publicKey: new Uint8Array(31) },
    { zone: 256 },
    { roles: -1 },
    { notAfterSeconds: 1.5 },
    { notAfterSeconds: 2 ** 32 },
    { revocationBlock: -1 },
  ]) {
    expect(() => issueCertificate(root.signer, { ...usual, ...wrong })).toThrow();
  }
});

test("a seed gives the same identity each time, its id the hash of its key", () => {
  const seed = new Uint8Array(KEY_SEED_BYTES).fill(5);
  const identity = identityFromSeed(crypto, seed);
  expect(identity.publicKey).toEqual(identityFromSeed(crypto, seed).publicKey);
  expect(identity.nodeId).toBe(nodeIdOf(crypto, identity.publicKey));
  expect(identity.nodeId).toMatch(/^[0-9a-f]{16}$/);
});
