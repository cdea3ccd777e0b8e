import { DispatchError, show } from "./errors.ts";

/** Milliseconds as a number, or text such as `"250ms"`, `"30s"`, `"5m"`, `"1h30m"`, `"7d"`. */
export type Duration = number | string;

/** A `Date`, or an ISO 8601 string such as `"2026-01-31T09:00:00Z"`. */
export type Moment = Date | string;

const UNIT_MS: Record<string, number> = { ms: 1, s: 1e3, m: 6e4, h: 36e5, d: 864e5, w: 6048e5 };
const TEXT = /^(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+$/;
const PART = /(\d+(?:\.\d+)?)(ms|[smhdw])/g;

/** The longest duration taken, about 285 years: beyond it `now + duration` may no longer be a Date. */
const MAX_MS = 9e12;

/**
 * Reads a duration as whole milliseconds. Zero is allowed, negative is not. Fractions are rounded,
 * but never to zero: where zero means "no limit", a short limit must not become none.
 *
 * @param what how an error calls it, e.g. `"timeout"`
 * @throws {DispatchError} `invalid_duration`
 */
export function parseDuration(value: Duration, what: string): number {
  const ms = typeof value === "number" ? value : readText(value);
  if (ms === null || !Number.isFinite(ms) || ms < 0 || ms > MAX_MS) {
    throw new DispatchError(
      "invalid_duration",
      `Cannot read ${what} as a duration: current value is ${show(value)}`,
    );
  }
  return ms > 0 ? Math.max(1, Math.round(ms)) : 0;
}

function readText(value: unknown): number | null {
  if (typeof value !== "string") return null;
  const text = value.trim();
  if (!TEXT.test(text)) return null;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(PART)) ms += Number(amount) * UNIT_MS[unit];
  return ms;
}

/** An ISO 8601 date, or date and time. A time needs a zone: else each machine reads another moment. */
const ISO =
  /^([+-]\d{6}|\d{4})-(\d{2})-(\d{2})(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2}))?$/i;

/**
 * Reads a moment as epoch milliseconds. A bare date means midnight UTC.
 *
 * @throws {DispatchError} `invalid_moment`
 */
export function parseMoment(value: Moment, what: string): number {
  const ms = value instanceof Date ? value.getTime() : readIso(value);
  if (Number.isNaN(ms)) {
    throw new DispatchError(
      "invalid_moment",
      `Cannot read ${what} as a moment: current value is ${show(value)}`,
    );
  }
  return ms;
}

function readIso(value: unknown): number {
  const parts = typeof value === "string" ? ISO.exec(value) : null;
  if (parts === null) return NaN;
  // Date.parse() takes the 30th of February for the 2nd of March.
  const day = new Date(0);
  day.setUTCFullYear(Number(parts[1]), Number(parts[2]) - 1, Number(parts[3]));
  return day.getUTCDate() === Number(parts[3]) ? Date.parse(parts[0]) : NaN;
}
