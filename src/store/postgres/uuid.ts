/**
 * Identifiers rest as uuids and travel as TypeIDs: the same 128 bits, in the same order, 16 bytes
 * instead of 31 in the row and in each index.
 */

import type { IdPrefix } from "../../core/id.ts";

const SUFFIX = /^[a-z]+_[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/** Characters by their values, and values by their characters. */
const [BASE32, VALUES] = tablesOf("0123456789abcdefghjkmnpqrstvwxyz");
const [HEX, DIGITS] = tablesOf("0123456789abcdef");

const DASH = "-".charCodeAt(0);

/** Where the digits of a uuid stand between its dashes. */
const PLACES = Uint8Array.from(
  { length: 32 },
  (_, digit) => digit + [8, 12, 16, 20].filter((dash) => digit >= dash).length,
);

/**
 * What is being written, used again and again: strings that are put together in parts cost 800 bytes
 * a job.
 */
const uuidCodes = new Array<number>(36).fill(DASH);
const idCodes = new Map<IdPrefix, number[]>();

/** The uuid of a TypeID, as Postgres writes it; `null` for what is no TypeID: nothing has it. */
export function toUuid(id: string): string | null {
  return SUFFIX.test(id) ? unchecked(id) : null;
}

/** The same for an identifier that the engine has made. */
export function unchecked(id: string): string {
  let at = id.length - 26;
  const first = (VALUES[id.charCodeAt(at)] << 5) | VALUES[id.charCodeAt(at + 1)];
  uuidCodes[0] = HEX[first >> 4];
  uuidCodes[1] = HEX[first & 15];
  at += 2;
  for (let digit = 2; digit < 32; digit += 5, at += 4) { // 4 characters are 20 bits are 5 digits
    const bits = (VALUES[id.charCodeAt(at)] << 15) | (VALUES[id.charCodeAt(at + 1)] << 10) |
      (VALUES[id.charCodeAt(at + 2)] << 5) | VALUES[id.charCodeAt(at + 3)];
    uuidCodes[PLACES[digit]] = HEX[bits >> 16];
    uuidCodes[PLACES[digit + 1]] = HEX[(bits >> 12) & 15];
    uuidCodes[PLACES[digit + 2]] = HEX[(bits >> 8) & 15];
    uuidCodes[PLACES[digit + 3]] = HEX[(bits >> 4) & 15];
    uuidCodes[PLACES[digit + 4]] = HEX[bits & 15];
  }
  return String.fromCharCode.apply(null, uuidCodes);
}

/** The TypeID of a uuid as Postgres writes it. */
export function fromUuid(prefix: IdPrefix, uuid: string): string {
  let codes = idCodes.get(prefix);
  if (codes === undefined) {
    codes = Array.from(`${prefix}_${"0".repeat(26)}`, (character) => character.charCodeAt(0));
    idCodes.set(prefix, codes);
  }
  let to = prefix.length + 1;
  let bits = 0;
  let count = 2; // 130 bits: the two that a uuid lacks come first
  for (let at = 0; at < uuid.length; at++) {
    const code = uuid.charCodeAt(at);
    if (code === DASH) continue;
    bits = (bits << 4) | DIGITS[code];
    count += 4;
    if (count < 5) continue;
    count -= 5;
    codes[to++] = BASE32[bits >> count];
    bits &= (1 << count) - 1;
  }
  return String.fromCharCode.apply(null, codes);
}

function tablesOf(alphabet: string): [codes: readonly number[], values: Uint8Array] {
  const codes = Array.from(alphabet, (character) => character.charCodeAt(0));
  const values = new Uint8Array(128);
  for (const [value, code] of codes.entries()) values[code] = value;
  return [codes, values];
}
