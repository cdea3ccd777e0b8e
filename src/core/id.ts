import { DispatchError, show } from "./errors.ts";

/**
 * Identifiers are TypeIDs: a prefix and a UUIDv7 in Crockford base32, so that they sort by time
 * and say what they name. Method as in RFC 9562, section 6.2 (a counter within the millisecond).
 */
export type IdPrefix = "job" | "run" | "cron" | "dlq" | "evt" | "wkr";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const SUFFIX = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/** Two characters for each 10-bit value: an identifier takes 13 look-ups, not 26 divisions. */
const PAIRS: string[] = Array.from({ length: 1024 }, (_, n) => ALPHABET[n >> 5] + ALPHABET[n & 31]);

const pool = new Uint32Array(256);
let poolAt = pool.length;

function random32(): number {
  if (poolAt === pool.length) {
    crypto.getRandomValues(pool);
    poolAt = 0;
  }
  return pool[poolAt++];
}

let lastMs = -1;
let timePart = "";
/** 26 bits that grow within a millisecond: version-adjacent bits of the UUID. */
let counter = 0;

/**
 * Makes a new identifier, e.g. `job_01jd0gxm6te4fs5b9v3q8n2kzr`. Identifiers made by one process
 * grow strictly, also within a millisecond and when the system's clock steps back.
 */
export function newId(prefix: IdPrefix): string {
  const now = Date.now();
  if (now > lastMs) setTime(now);
  else if (++counter > 0x3ff_ffff) setTime(lastMs + 1); // 2^25 in one millisecond: borrow the next
  // 80 bits after the time: 4 version, 12 counter high, 2 variant, 14 counter low, 48 random.
  const high = counter >>> 14;
  const low = counter & 0x3fff;
  const r1 = random32();
  const r2 = random32();
  return prefix + "_" + timePart +
    PAIRS[0x1c0 | (high >>> 6)] + // 0111 + 6 bits
    PAIRS[((high & 0x3f) << 4) | 0x8 | (low >>> 12)] + // 6 bits + 10 + 2 bits
    PAIRS[(low >>> 2) & 0x3ff] + // 10 bits
    PAIRS[((low & 3) << 8) | (r1 >>> 24)] + // 2 + 8 bits
    PAIRS[(r1 >>> 14) & 0x3ff] +
    PAIRS[(r1 >>> 4) & 0x3ff] +
    PAIRS[((r1 & 0xf) << 6) | (r2 >>> 26)] + // 4 + 6 bits
    PAIRS[(r2 >>> 16) & 0x3ff];
}

function setTime(ms: number): void {
  lastMs = ms;
  counter = random32() & 0x1ff_ffff; // starts below half, so that there is room to grow
  let rest = ms;
  timePart = "";
  for (let i = 0; i < 5; i++) {
    timePart = PAIRS[rest % 1024] + timePart;
    rest = Math.floor(rest / 1024);
  }
}

/** True for a well-formed identifier of that kind. */
export function isId(prefix: IdPrefix, text: string): boolean {
  return text.startsWith(prefix + "_") && SUFFIX.test(text.slice(prefix.length + 1));
}

/**
 * Returns the text when it is a well-formed identifier of that kind.
 *
 * @throws {DispatchError} `invalid_id`
 */
export function checkId(prefix: IdPrefix, text: string): string {
  if (typeof text === "string" && isId(prefix, text)) return text;
  throw new DispatchError("invalid_id", `Cannot use ${show(text)} as an identifier`, {
    hint: `Expected ${prefix}_ and 26 characters, such as ${prefix}_01jd0gxm6te4fs5b9v3q8n2kzr.`,
  });
}

/** The same identifier under another prefix: a job and its dead letter share their suffix. */
export function withPrefix(prefix: IdPrefix, id: string): string {
  return prefix + id.slice(id.indexOf("_"));
}
