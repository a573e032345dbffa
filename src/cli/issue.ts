// Certificates as the operator asks for them: in days, from now.

import { type CertificateFields, issueCertificate } from "../net/certificate.ts";
import type { Identity } from "../net/identity.ts";

/** Ten years: a cluster nobody looks after must not end by itself. Revocation shuts out sooner. */
export const CERTIFICATE_DAYS_DEFAULT = 3_650;
/** Well inside the 32 bits of seconds a certificate has room for. */
export const CERTIFICATE_DAYS_MAX = 20_000;

const SECONDS_PER_DAY = 86_400;

export interface CertificateWish extends Omit<CertificateFields, "notAfterSeconds"> {
  readonly days: number;
}

export function issueFor(root: Identity, wish: CertificateWish): Uint8Array {
  const { days, ...fields } = wish;
  const notAfterSeconds = Math.floor(Date.now() / 1000) + days * SECONDS_PER_DAY;
  return issueCertificate(root.signer, { ...fields, notAfterSeconds });
}
