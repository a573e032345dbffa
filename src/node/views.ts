// Reading the table for people and for placement: decoded members and services.

import type { Certificate, Role } from "../net/certificate.ts";
import { hasRole, ROLES } from "../net/certificate.ts";
import { toHex } from "../schema/node-id.ts";
import type { NodeInfo } from "../schema/node-info.ts";
import { decodeNodeInfo } from "../schema/node-info-codec.ts";
import { decodeService } from "../schema/service-codec.ts";
import { authorBytesOf, bodyOf, keyToHex } from "../schema/slot.ts";
import type { SlotTable } from "../sync/slot-table.ts";
import type { ServiceView } from "./interface.ts";

/** A node slot's body. The slot was decoded once already, when it came in. */
export function nodeInfoAt(table: SlotTable, slot: number): NodeInfo {
  return decodeNodeInfo(bodyOf(table.record(slot)));
}

/** A live service slot. */
export function serviceViewAt(table: SlotTable, slot: number): ServiceView {
  const record = table.record(slot);
  const keyHigh = table.keyHigh(slot);
  return {
    key: keyToHex({ high: keyHigh, low: table.keyLow(slot) }),
    claimKey: keyHigh,
    spec: decodeService(bodyOf(record)),
    stamp: table.stamp(slot),
    author: toHex(authorBytesOf(record)),
    generation: table.fingerprintLow(slot),
  };
}

export function roleNames(certificate: Certificate): Role[] {
  return (Object.keys(ROLES) as Role[]).filter((role) => hasRole(certificate, role));
}
