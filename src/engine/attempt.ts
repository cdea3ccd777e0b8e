import type { Backoff } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import type { DispatchError } from "../core/errors.ts";
import { encodeJson } from "../core/json.ts";
import { decideFailure, isJobSignal, type Outcome, toFailure } from "../core/outcome.ts";
import { checkInput } from "./check_input.ts";
import type { AnyJobDefinition } from "./definition.ts";
import type { Logger } from "../core/logger.ts";
import { isRunName } from "../core/run.ts";
import type { Execution } from "./execution.ts";
import type { Middleware } from "./middleware/compose.ts";
import { abortedRun, attemptRun } from "./run_attempt.ts";
import type { RunSupport } from "./run_support.ts";

/** What an attempt is run with, the same for all jobs of a worker. */
export interface AttemptRules {
  readonly clock: Clock;
  readonly logger: Logger;
  /** What runs of workflows need; null where the store keeps none. */
  readonly runs: RunSupport | null;
  readonly middleware: Middleware | null;
  readonly backoff: Backoff;
  readonly maxPayloadBytes: number;
}

/** Runs one claimed job to one outcome: check the input, call the handler, encode the result. */
export async function attempt(
  execution: Execution,
  definition: AnyJobDefinition,
  rules: AttemptRules,
): Promise<Outcome> {
  if (definition.workflow !== undefined) {
    return await attemptRun(execution, definition.workflow, rules);
  }
  const backoff = definition.backoff ?? rules.backoff;
  let result: unknown;
  try {
    let input = execution.payload;
    if (definition.input !== undefined) {
      const checked = await checkInput(definition, input);
      if (checked.refused) {
        return { kind: "dead", failure: toFailure(checked.refused, "invalid_payload") };
      }
      input = checked.input;
    }
    result = rules.middleware === null
      ? await definition.handler(input, execution)
      // deno-lint-ignore require-await -- a handler that throws at once must reject
      : await rules.middleware(execution, async () => definition.handler(input, execution));
  } catch (thrown) {
    const reason = execution.abortReason;
    // What a handler throws on purpose stands, but for a cancelled job nothing else is left to say.
    const free = reason === null || (isJobSignal(thrown) && reason.code !== "cancelled");
    if (free) return decideFailure(execution.job, thrown, backoff);
    return abortedOutcome(execution, reason, backoff);
  }
  const reason = execution.abortReason;
  if (reason !== null && (reason.code === "timeout" || execution.listens)) {
    return abortedOutcome(execution, reason, backoff);
  }
  try {
    const what = `the result of ${execution.name}`;
    return { kind: "complete", result: encodeJson(result, what, rules.maxPayloadBytes) };
  } catch (thrown) {
    // The work is done: to run it again would only repeat its effects.
    return { kind: "dead", failure: toFailure(thrown, "invalid_result") };
  }
}

/** What becomes of an attempt that ended, or is given up, because it was asked to stop. */
export function abortedOutcome(
  execution: Execution,
  reason: DispatchError,
  backoff: Backoff,
): Outcome {
  if (isRunName(execution.name)) return abortedRun(reason, execution.job.timeoutMs);
  switch (reason.code) {
    case "cancelled":
      return { kind: "cancel", reason: reason.message };
    case "timeout":
      return decideFailure(execution.job, reason, backoff, "timeout");
    default: // shutdown; after lease_lost whatever is settled is refused
      return { kind: "release", delayMs: 0 };
  }
}
