/**
 * Identifiers rest as uuids and travel as TypeIDs: the same 128 bits, in the same order, 16 bytes
 * instead of 31 in the row and in each index.
 */

import type { IdPrefix } from "../../core/id.ts";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const SUFFIX = /^[a-z]+_[0-7][0-9a-hjkmnp-tv-z]{25}$/;
const PAIRS: string[] = Array.from({ length: 1024 }, (_, n) => ALPHABET[n >> 5] + ALPHABET[n & 31]);
const VALUES = new Uint8Array(128);
for (let i = 0; i < 32; i++) VALUES[ALPHABET.charCodeAt(i)] = i;

/** The uuid of a TypeID, as 32 hexadecimal digits; `null` for what is no TypeID: nothing has it. */
export function toUuid(id: string): string | null {
  return SUFFIX.test(id) ? unchecked(id) : null;
}

/** The same for an identifier that the engine has made. */
export function unchecked(id: string): string {
  let at = id.length - 26;
  const value = (i: number) => VALUES[id.charCodeAt(i)];
  let hex = ((value(at) << 5) | value(at + 1) | 0x100).toString(16).slice(1);
  for (at += 2; at < id.length; at += 4) { // 4 characters are 20 bits are 5 digits
    const bits = (value(at) << 15) | (value(at + 1) << 10) | (value(at + 2) << 5) | value(at + 3);
    hex += (bits | 0x100000).toString(16).slice(1);
  }
  return hex;
}

/** The TypeID of a uuid as Postgres writes it. */
export function fromUuid(prefix: IdPrefix, uuid: string): string {
  const hex = uuid.slice(0, 8) + uuid.slice(9, 13) + uuid.slice(14, 18) + uuid.slice(19, 23) +
    uuid.slice(24);
  let id = prefix + "_" + PAIRS[parseInt(hex.slice(0, 2), 16)];
  for (let at = 2; at < 32; at += 5) {
    const bits = parseInt(hex.slice(at, at + 5), 16);
    id += PAIRS[bits >>> 10] + PAIRS[bits & 1023];
  }
  return id;
}
