import type { Backoff } from "../../core/backoff.ts";
import { type Duration, parseDuration } from "../../core/duration.ts";
import { DispatchError, show } from "../../core/errors.ts";
import { decodeJson } from "../../core/json.ts";
import { isJobSignal } from "../../core/outcome.ts";
import type { LazyAbort } from "../lazy_abort.ts";
import type { Memo } from "../memo.ts";
import type { Call } from "../order.ts";
import type { Undo } from "../saga.ts";
import { attemptStep, type StepContext, type StepRules } from "./attempt.ts";

/** What may be said of a step. */
export interface StepOptions<Result = unknown> {
  /** Attempts after the first one. Default 3. */
  maxRetries?: number;
  /** Delay before a retry, for which the run holds nothing. Default: that of the workflow. */
  backoff?: Backoff;
  /** How long one attempt may take. Default: no limit. */
  timeout?: Duration;
  /**
   * Undoes the step when the run fails for good after it has completed, or is cancelled with
   * `compensate`. It is tried as often as the step itself, and gets what the step returned.
   */
  compensate?: (result: Result) => unknown;
}

/** `step.run` of one slice. */
export function runStep(
  memo: Memo,
  losers: LazyAbort,
  onUndo: (undo: Undo) => void,
  name: string,
  work: (context: StepContext) => unknown,
  options: StepOptions<never>,
): Promise<unknown> {
  let rules: StepRules;
  try {
    rules = readRules(name, work, options, memo.host.backoff);
  } catch (error) {
    return Promise.reject(error);
  }
  const { compensate } = options;
  if (compensate !== undefined) memo.mayUndo = true;
  const start = (call: Call): void => {
    const { recorded } = call;
    if (recorded === null) void attempt(call, 1);
    else if (!recorded.leftMs) void attempt(call, recorded.attempt + 1);
    else memo.open(call, recorded.leftMs, () => void attempt(call, recorded.attempt + 1));
  };
  const attempt = (call: Call, number: number): Promise<void> =>
    memo.work(async () => {
      const { position } = call;
      const tried = await attemptStep(
        { name: call.name, position, attempt: number, work, rules, losers },
        memo.host,
      ).catch((signal) => {
        if (!isJobSignal(signal)) throw signal;
        memo.stop({ kind: "thrown", thrown: signal }); // cancels the whole run
        return null;
      });
      if (tried === null) return;
      const fields = { position, name: call.name, kind: call.kind, ...tried };
      if (tried.state === "open") {
        await memo.recorder.save({ ...fields, seq: null });
        memo.open(call, tried.delayMs, () => void attempt(call, tried.attempt + 1));
        return;
      }
      const slot = memo.reserve(call);
      await memo.recorder.save({ ...fields, seq: slot.seq });
      memo.fill(
        slot,
        tried.state === "completed"
          ? { state: "completed", value: decodeJson(tried.result!) }
          : { state: "failed", failure: tried.failure! },
      );
      memo.host.onStep({
        name: call.name,
        durationMs: tried.elapsedMs,
        error: tried.failure?.message ?? null,
      });
    });
  return memo.call("run", name, start, (call, result) => {
    if (compensate === undefined) return;
    onUndo({ position: call.position, name: call.name, result, compensate, rules });
  });
}

function readRules(
  name: string,
  work: unknown,
  options: StepOptions<never>,
  backoff: Backoff,
): StepRules {
  const { maxRetries = 3, timeout = 0, compensate } = options;
  const isFunction = (value: unknown) => typeof value === "function";
  const fits = isFunction(work) && (compensate === undefined || isFunction(compensate)) &&
    Number.isInteger(maxRetries) && maxRetries >= 0;
  if (fits) {
    const timeoutMs = parseDuration(timeout, `the timeout of step ${show(name)}`);
    return { maxRetries, timeoutMs, backoff: options.backoff ?? backoff };
  }
  throw new DispatchError("invalid_step", `Cannot run step ${show(name)} as it is given`, {
    hint: "Pass a function; maxRetries is a whole number from 0, compensate a function.",
  });
}
