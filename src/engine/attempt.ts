import type { Backoff } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { type DispatchError, messageOf } from "../core/errors.ts";
import { encodeJson } from "../core/json.ts";
import { decideFailure, isJobSignal, type Outcome, toFailure } from "../core/outcome.ts";
import type { AnyWorkflowDefinition } from "../workflow/definition.ts";
import { checkInput } from "./check_input.ts";
import type { AnyJobDefinition } from "./definition.ts";
import type { Logger } from "../core/logger.ts";
import { isRunName } from "../core/run.ts";
import type { Execution } from "./execution.ts";
import type { Middleware } from "./middleware/compose.ts";
import type { Workflows } from "./workflows.ts";

/** A run that could not be run, for no fault of its own, comes back after that. */
export const REFUSED_DELAY_MS = 1000;

/** What most jobs return. */
const NOTHING: Outcome = { kind: "complete", result: "null" };

/** What an attempt is run with, the same for all jobs of a worker. */
export interface AttemptRules {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where runs of workflows go. */
  readonly workflows: Workflows;
  readonly middleware: Middleware | null;
  readonly backoff: Backoff;
  readonly maxPayloadBytes: number;
}

/**
 * Runs one claimed job to one outcome: check the input, call the handler, encode the result. What
 * every job goes through is no async function: their frames were a third of what a job allocates.
 */
export function attempt(
  execution: Execution,
  definition: AnyJobDefinition,
  rules: AttemptRules,
): Promise<Outcome> {
  if (definition.workflow !== undefined) {
    return attemptRun(execution, definition.workflow, rules);
  }
  if (definition.input !== undefined) return attemptChecked(execution, definition, rules);
  return handled(execution, definition, rules, null);
}

async function attemptChecked(
  execution: Execution,
  definition: AnyJobDefinition,
  rules: AttemptRules,
): Promise<Outcome> {
  try {
    const checked = await checkInput(definition, execution.payload);
    if (checked.refused === undefined) {
      return await handled(execution, definition, rules, checked);
    }
    return { kind: "dead", failure: toFailure(checked.refused, "invalid_payload") };
  } catch (thrown) {
    return failed(execution, thrown, definition.backoff ?? rules.backoff);
  }
}

function handled(
  execution: Execution,
  definition: AnyJobDefinition,
  rules: AttemptRules,
  checked: { readonly input?: unknown } | null,
): Promise<Outcome> {
  return call(execution, definition, rules, checked).then(
    (result) => ended(execution, result, definition, rules),
    (thrown) => failed(execution, thrown, definition.backoff ?? rules.backoff),
  );
}

/** Calls the handler. One that throws at once rejects as well. */
function call(
  execution: Execution,
  definition: AnyJobDefinition,
  { middleware }: AttemptRules,
  checked: { readonly input?: unknown } | null,
): Promise<unknown> {
  try {
    const input = checked === null ? execution.payload : checked.input;
    return middleware === null
      ? Promise.resolve(definition.handler(input, execution))
      : callBehind(middleware, execution, definition, input);
  } catch (thrown) {
    return Promise.reject(thrown);
  }
}

function callBehind(
  middleware: Middleware,
  execution: Execution,
  definition: AnyJobDefinition,
  input: unknown,
): Promise<unknown> {
  // deno-lint-ignore require-await -- a handler that throws at once must reject
  return middleware(execution, async () => definition.handler(input, execution));
}

/** The outcome of a handler that returned. */
function ended(
  execution: Execution,
  result: unknown,
  definition: AnyJobDefinition,
  rules: AttemptRules,
): Outcome {
  const reason = execution.abortReason;
  if (reason !== null && (reason.code === "timeout" || execution.listens)) {
    return abortedOutcome(execution, reason, definition.backoff ?? rules.backoff);
  }
  if (result === undefined) return NOTHING;
  try {
    const what = `the result of ${execution.name}`;
    return { kind: "complete", result: encodeJson(result, what, rules.maxPayloadBytes) };
  } catch (thrown) {
    // The work is done: to run it again would only repeat its effects.
    return { kind: "dead", failure: toFailure(thrown, "invalid_result") };
  }
}

/** The outcome of a handler that threw. */
function failed(execution: Execution, thrown: unknown, backoff: Backoff): Outcome {
  const reason = execution.abortReason;
  // What a handler throws on purpose stands, but for a cancelled job nothing else is left to say.
  const free = reason === null || (isJobSignal(thrown) && reason.code !== "cancelled");
  if (free) return decideFailure(execution.job, thrown, backoff);
  return abortedOutcome(execution, reason, backoff);
}

/** Runs one slice of a claimed run. */
async function attemptRun(
  execution: Execution,
  workflow: AnyWorkflowDefinition,
  rules: AttemptRules,
): Promise<Outcome> {
  try {
    const runs = await rules.workflows(); // a run that comes before the code for it waits here
    return await runs.attempt(execution, workflow, rules);
  } catch (thrown) { // nothing that the run has done: the code for it, the store, or the schema
    rules.logger.warn("could not run a slice of a run", {
      run: execution.id,
      error: messageOf(thrown),
    });
    return { kind: "release", delayMs: REFUSED_DELAY_MS };
  }
}

/** What becomes of an attempt that ended, or is given up, because it was asked to stop. */
export function abortedOutcome(
  execution: Execution,
  reason: DispatchError,
  backoff: Backoff,
): Outcome {
  switch (reason.code) {
    case "cancelled":
      return { kind: "cancel", reason: reason.message };
    case "timeout":
      return isRunName(execution.name)
        ? timedOut(execution.job.timeoutMs)
        : decideFailure(execution.job, reason, backoff, "timeout");
    default: // shutdown, which is never a failure; after lease_lost whatever is settled is refused
      return { kind: "release", delayMs: 0 };
  }
}

/** The end of a run whose time is over. */
export function timedOut(timeoutMs: number): Outcome {
  const message = `The run took longer than its limit of ${timeoutMs} ms`;
  // Which of its steps can be undone only a replay can tell.
  return { kind: "compensate", cause: { code: "timeout", message } };
}
