import type { Backoff } from "../../core/backoff.ts";
import { endsWithin } from "../../core/clock.ts";
import { DispatchError } from "../../core/errors.ts";
import { encodeJson, type JsonText } from "../../core/json.ts";
import { decideFailure, type Failure, isJobSignal, toFailure } from "../../core/outcome.ts";
import type { SliceHost } from "../host.ts";
import { LazyAbort } from "../lazy_abort.ts";

/** What a step's function is given. */
export interface StepContext {
  /**
   * Aborts when the step's time is over, its run is cancelled, or the worker stops. What the function
   * returns after an abort counts only if it never looked at the signal.
   */
  readonly signal: AbortSignal;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** The same in every attempt of this step of this run: for services that take such a key. */
  readonly idempotencyKey: string;
}

/** How a step is tried. */
export interface StepRules {
  readonly maxRetries: number;
  /** Milliseconds that an attempt may take; 0 is no limit. */
  readonly timeoutMs: number;
  readonly backoff: Backoff;
}

/** One attempt of a step. */
export interface StepAttempt {
  readonly name: string;
  readonly position: number;
  readonly attempt: number;
  readonly work: (context: StepContext) => unknown;
  readonly rules: StepRules;
  /** A second reason to abort. */
  readonly losers?: LazyAbort;
}

/** What is to be remembered of it. */
export interface Attempted {
  readonly state: "open" | "completed" | "failed";
  readonly attempt: number;
  readonly result: JsonText | null;
  readonly failure: Failure | null;
  readonly delayMs: number | null;
  readonly elapsedMs: number;
}

/** A function that ignores its signal is waited for no longer than this. */
const GRACE_MS = 1000;

/**
 * Makes one attempt of a step. It rejects with what cancels the whole run; null where the run was
 * interrupted meanwhile, which is nobody's failure and not remembered.
 */
export async function attemptStep(step: StepAttempt, host: SliceHost): Promise<Attempted | null> {
  const { name, position, attempt, work, rules } = step;
  const { clock } = host;
  const own = new LazyAbort();
  const follow = () => {
    if (host.signal.aborted) onAbort();
    else host.signal.addEventListener("abort", onAbort);
  };
  const context: StepContext = {
    get signal() {
      if (!own.isWatched) {
        follow();
        const losers = step.losers?.signal;
        if (losers?.aborted) onLost();
        else losers?.addEventListener("abort", onLost);
      }
      return own.signal;
    },
    attempt,
    idempotencyKey: `${host.runId}/${position}`,
  };
  const startedAt = clock.now();
  let timedOut: DispatchError | null = null;
  const { promise: outOfTime, cancel } = limit(host, rules.timeoutMs, () => {
    timedOut = new DispatchError(
      "timeout",
      `The step took longer than its limit of ${rules.timeoutMs} ms`,
    );
    own.abort(timedOut);
  });
  const onAbort = () => {
    cancel();
    own.abort(host.abortReason);
  };
  const onLost = () => own.abort();
  if (outOfTime !== null) follow();
  // deno-lint-ignore require-await -- a function that throws at once must reject
  const working = host.ambient.run(async () => work(context));
  const ended = (state: Attempted["state"], more: Partial<Attempted>): Attempted => ({
    state,
    attempt,
    result: null,
    failure: null,
    delayMs: null,
    elapsedMs: Math.max(0, Math.round(clock.now() - startedAt)),
    ...more,
  });
  try {
    const value = await (outOfTime === null ? working : Promise.race([
      working,
      outOfTime.then(() => endsWithin(clock, GRACE_MS, working)),
    ]));
    if (timedOut !== null) throw timedOut;
    if (own.isWatched && host.signal.aborted) return null; // it may be half the work
    const encoded = encode(value, `the result of step ${JSON.stringify(name)}`, host);
    return typeof encoded === "string"
      ? ended("completed", { result: encoded })
      : ended("failed", { failure: encoded });
  } catch (thrown) {
    if (timedOut === null) {
      if (isJobSignal(thrown) && thrown.kind === "cancel") throw thrown;
      if (host.signal.aborted) return null;
    }
    const job = { retryCount: attempt - 1, maxRetries: rules.maxRetries };
    const code = timedOut === null ? "handler_failed" : "timeout";
    const outcome = decideFailure(job, timedOut ?? thrown, rules.backoff, code);
    switch (outcome.kind) {
      case "retry":
        return ended("open", { failure: outcome.failure, delayMs: outcome.delayMs });
      case "release": // a snooze is no attempt
        return ended("open", { attempt: attempt - 1, delayMs: outcome.delayMs });
      default:
        return ended("failed", { failure: outcome.kind === "dead" ? outcome.failure : null });
    }
  } finally {
    cancel();
    if (outOfTime !== null || own.isWatched) host.signal.removeEventListener("abort", onAbort);
    if (own.isWatched) step.losers?.signal.removeEventListener("abort", onLost);
  }
}

/** The step is done: a result that cannot be kept makes it fail, and is not done again. */
function encode(value: unknown, what: string, host: SliceHost): JsonText | Failure {
  try {
    return encodeJson(value, what, host.maxPayloadBytes);
  } catch (thrown) {
    return toFailure(thrown, "invalid_result");
  }
}

function limit(
  { clock }: SliceHost,
  ms: number,
  onOver: () => void,
): { promise: Promise<void> | null; cancel: () => void } {
  if (ms === 0) return { promise: null, cancel: () => {} };
  let cancel = () => {};
  const promise = new Promise<void>((resolve) => {
    cancel = clock.after(ms, () => {
      onOver();
      resolve();
    });
  });
  return { promise, cancel };
}
