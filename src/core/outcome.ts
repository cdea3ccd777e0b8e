/**
 * How an attempt ends. A job leaves `running` only through one of these outcomes, presented with
 * its lease; stores write them and decide nothing.
 *
 *     running ── complete ──▶ completed
 *        │ ───── retry ─────▶ retrying   (a failure is counted)
 *        │ ───── release ───▶ pending    (the attempt is given back: snooze, shutdown)
 *        │ ───── park ──────▶ pending    (the same, for a run that sleeps or waits)
 *        │ ── compensate ───▶ pending    (a run failed for good and is to undo its steps)
 *        │ ───── dead ──────▶ failed     (and a dead letter, in the same write)
 *        └────── cancel ────▶ cancelled
 */

import { type Backoff, clampDelay } from "./backoff.ts";
import { type Duration, parseDuration } from "./duration.ts";
import type { EpochMs } from "./clock.ts";
import { type ErrorCode, messageOf } from "./errors.ts";
import type { JsonText } from "./json.ts";
import type { Accepted, Rewind } from "./run.ts";

/** Why an attempt failed. */
export interface Failure {
  /** `handler_failed`, `timeout`, `invalid_payload`, `invalid_result`, `discarded`, `crash_loop`, … */
  readonly code: ErrorCode;
  /** The error's message. */
  readonly message: string;
  /** Where it was thrown, if known; at most 4,000 characters. */
  readonly stack?: string;
}

/** The closed set of ways to end an attempt. */
export type Outcome = JobOutcome | RunOutcome;

/** Those that every job has. */
export type JobOutcome =
  | { readonly kind: "complete"; readonly result: JsonText }
  | {
    readonly kind: "retry";
    readonly failure: Failure;
    readonly delayMs: number;
    readonly rewind?: Rewind;
  }
  | { readonly kind: "release"; readonly delayMs: number }
  | { readonly kind: "dead"; readonly failure: Failure; readonly rewind?: Rewind }
  | { readonly kind: "cancel"; readonly reason: string };

/** The ways to end an attempt that only runs have. Stores without workflows never see them. */
export type RunOutcome =
  /** Until an open step ends, the first of the timed ones is due, or the run's time is over. */
  | {
    readonly kind: "park";
    /** Positions of the open steps that wait for a moment. */
    readonly timed: readonly number[];
    /** When the run's time is over, by the store's clock; null is never. */
    readonly deadline: EpochMs | null;
    readonly accepted: readonly Accepted[];
  }
  /** The run is ready at once, to undo what it did. */
  | { readonly kind: "compensate"; readonly cause: Failure };

/** Longest message and longest stack that are stored. */
const MAX_TEXT = 4000;

/**
 * A job whose leases ran out this often is in a crash loop. From the one before it runs apart, so
 * that at the last count only the culprit is blamed and not the jobs that happened to run beside it.
 */
export const MAX_CRASHES = 3;

/** True for a job that has already taken down its worker as often as may be a coincidence. */
export function isSuspect(job: { readonly crashes: number }): boolean {
  return job.crashes >= MAX_CRASHES - 1;
}

/** What a rescue writes about a job that reached {@link MAX_CRASHES}. */
export const CRASH_LOOP: Failure = {
  code: "crash_loop",
  message: `The job's worker died or hung ${MAX_CRASHES} times while it ran`,
};

/** What a handler throws to end its attempt other than by failing. See {@link cancel} and its siblings. */
export class JobSignal extends Error {
  /** Always `"JobSignal"`. */
  override readonly name = "JobSignal";

  /** Used by {@link cancel}, {@link discard} and {@link snooze}. */
  constructor(
    /** Which way out was taken. */
    readonly kind: "cancel" | "discard" | "snooze",
    message: string,
    /** Milliseconds until the job comes back, for a snooze. */
    readonly delayMs = 0,
  ) {
    super(message);
  }
}

/**
 * Ends the job as `cancelled`: it is no longer wanted, and nobody is at fault. Throw what it returns.
 *
 * @example
 * ```ts
 * import { cancel, defineJob } from "@dispatch/dispatch";
 *
 * const Remind = defineJob({
 *   name: "remind",
 *   handler: (input: { open: boolean }) => {
 *     if (!input.open) throw cancel("the invoice was paid meanwhile");
 *   },
 * });
 * ```
 */
export function cancel(reason = "cancelled by its handler"): JobSignal {
  return new JobSignal("cancel", reason);
}

/**
 * Ends the job as `failed` at once, without the retries that are left; it goes to the dead letters,
 * from where it can be replayed. Throw what it returns.
 */
export function discard(reason = "discarded by its handler"): JobSignal {
  return new JobSignal("discard", reason);
}

/**
 * Puts the job off for a while, without counting the attempt. Throw what it returns.
 *
 * @throws {DispatchError} `invalid_duration`
 */
export function snooze(duration: Duration): JobSignal {
  return new JobSignal("snooze", "snoozed", parseDuration(duration, "snooze"));
}

/** True for what a handler throws on purpose. Asking must not throw: not even a revoked proxy. */
export function isJobSignal(thrown: unknown): thrown is JobSignal {
  try {
    return thrown instanceof JobSignal;
  } catch {
    return false;
  }
}

/**
 * Decides what a thrown value means for the job: the only place where retries are decided.
 *
 * @param code what kind of failure it is, where the handler did not simply throw
 */
export function decideFailure(
  job: { readonly retryCount: number; readonly maxRetries: number },
  thrown: unknown,
  backoff: Backoff,
  code: ErrorCode = "handler_failed",
): Outcome {
  if (isJobSignal(thrown)) {
    if (thrown.kind === "cancel") {
      return { kind: "cancel", reason: thrown.message.slice(0, MAX_TEXT) };
    }
    if (thrown.kind === "snooze") return { kind: "release", delayMs: thrown.delayMs };
    const message = thrown.message.slice(0, MAX_TEXT);
    return { kind: "dead", failure: { code: "discarded", message } };
  }
  const failure = toFailure(thrown, code);
  if (job.retryCount >= job.maxRetries) return { kind: "dead", failure };
  return { kind: "retry", failure, delayMs: retryDelay(backoff, job.retryCount + 1) };
}

/** A strategy that throws must not lose the job: it then waits a second. */
function retryDelay(backoff: Backoff, failure: number): number {
  try {
    return clampDelay(backoff(failure));
  } catch {
    return clampDelay(NaN);
  }
}

/** Describes a thrown value for storage, within bounds. Handlers throw anything: this must not. */
export function toFailure(thrown: unknown, code: ErrorCode): Failure {
  const message = messageOf(thrown).slice(0, MAX_TEXT);
  const stack = stackOf(thrown)?.slice(0, MAX_TEXT);
  return stack === undefined ? { code, message } : { code, message, stack };
}

function stackOf(thrown: unknown): string | undefined {
  try {
    const stack = thrown instanceof Error ? thrown.stack : undefined;
    return typeof stack === "string" ? stack : undefined;
  } catch {
    return undefined;
  }
}
