import type { RetentionAges } from "../store/store.ts";
import { type Duration, parseDuration } from "../core/duration.ts";

/** How long finished records are kept; `false` keeps them until someone removes them. */
export interface Retention {
  /** Jobs that completed. Default `"1d"`. */
  completed?: Duration | false;
  /** Jobs that failed for good. Default `"14d"`. */
  failed?: Duration | false;
  /** Jobs that were cancelled. Default `"1d"`. */
  cancelled?: Duration | false;
  /** Dead letters. Default `"30d"`. */
  deadLetters?: Duration | false;
  /** Events, for runs that begin to wait for them late. Default `"1d"`. */
  events?: Duration | false;
}

/** The same in milliseconds; `null` is for ever. */
export interface RetentionMs extends RetentionAges {
  readonly deadLetters: number | null;
  readonly events: number | null;
}

/** Runs that have been due for so long and were not claimed wait for a version that nobody serves. */
export const UNSERVED_AFTER_MS = 30_000;

const DEFAULTS: Required<Retention> = {
  completed: "1d",
  failed: "14d",
  cancelled: "1d",
  deadLetters: "30d",
  events: "1d",
};

/**
 * Reads what the user gave: one duration for all finished jobs, or one for each kind.
 *
 * @throws {DispatchError} `invalid_duration`
 */
export function parseRetention(given: Duration | false | Retention | undefined): RetentionMs {
  const all = typeof given === "object" && given !== null
    ? given
    : { completed: given, failed: given, cancelled: given };
  const read = (kind: keyof Retention): number | null => {
    const value = (all as Retention)[kind] ?? (given === false ? false : DEFAULTS[kind]);
    return value === false ? null : parseDuration(value, `retention of ${kind}`);
  };
  return {
    completed: read("completed"),
    failed: read("failed"),
    cancelled: read("cancelled"),
    deadLetters: read("deadLetters"),
    events: read("events"),
  };
}
