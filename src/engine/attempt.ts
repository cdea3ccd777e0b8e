import type { Backoff } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import { type DispatchError, messageOf } from "../core/errors.ts";
import { encodeJson } from "../core/json.ts";
import { decideFailure, isJobSignal, type Outcome, toFailure } from "../core/outcome.ts";
import type { AnyWorkflowDefinition } from "../workflow/definition.ts";
import { checkInput } from "./check_input.ts";
import type { Logger } from "../core/logger.ts";
import { isRunName } from "../core/run.ts";
import type { Execution } from "./execution.ts";
import type { Middleware } from "./middleware/compose.ts";
import type { Workflows } from "./workflows.ts";

/** A run that could not be run, for no fault of its own, comes back after that. */
export const REFUSED_DELAY_MS = 1000;

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

/** Runs one claimed job to one outcome: check the input, call the handler, encode the result. */
export function attempt(execution: Execution, rules: AttemptRules): Promise<Outcome> {
  const { input, workflow } = execution.definition;
  if (workflow !== undefined) return attemptRun(execution, workflow, rules);
  return input === undefined && rules.middleware === null
    ? attemptAtOnce(execution, rules)
    : attemptChecked(execution, rules);
}

/** No async function: with those a job allocated a third more, 80 MB in a second of short jobs. */
function attemptAtOnce(execution: Execution, rules: AttemptRules): Promise<Outcome> {
  let running: Promise<unknown>;
  try {
    running = Promise.resolve(execution.definition.handler(execution.payload, execution));
  } catch (thrown) {
    running = Promise.reject(thrown);
  }
  return running.then(
    (result) => returned(execution, rules, result),
    (thrown) => failed(execution, rules, thrown),
  );
}

async function attemptChecked(execution: Execution, rules: AttemptRules): Promise<Outcome> {
  const { definition } = execution;
  let result: unknown;
  try {
    const { input, refused } = await checkInput(definition, execution.payload);
    if (refused) return { kind: "dead", failure: toFailure(refused, "invalid_payload") };
    // deno-lint-ignore require-await -- a handler that throws at once must reject
    const handle = async () => definition.handler(input, execution);
    result = await (rules.middleware === null ? handle() : rules.middleware(execution, handle));
  } catch (thrown) {
    return failed(execution, rules, thrown);
  }
  return returned(execution, rules, result);
}

/** The outcome of a handler that returned. */
function returned(execution: Execution, rules: AttemptRules, result: unknown): Outcome {
  const reason = execution.abortReason;
  if (reason !== null && (reason.code === "timeout" || execution.listens)) {
    return abortedOutcome(execution, rules, reason);
  }
  try {
    const what = `the result of ${execution.name}`;
    return { kind: "complete", result: encodeJson(result, what, rules.maxPayloadBytes) };
  } catch (thrown) {
    // The work is done: to run it again would only repeat its effects.
    return { kind: "dead", failure: toFailure(thrown, "invalid_result") };
  }
}

/** The outcome of a handler that threw. */
function failed(execution: Execution, rules: AttemptRules, thrown: unknown): Outcome {
  const reason = execution.abortReason;
  // What a handler throws on purpose stands, but for a cancelled job nothing else is left to say.
  return reason === null || (isJobSignal(thrown) && reason.code !== "cancelled")
    ? decideFailure(execution.job, thrown, backoffOf(execution, rules))
    : abortedOutcome(execution, rules, reason);
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
  rules: Pick<AttemptRules, "backoff">,
  reason: DispatchError,
): Outcome {
  switch (reason.code) {
    case "cancelled":
      return { kind: "cancel", reason: reason.message };
    case "timeout":
      return isRunName(execution.name)
        ? timedOut(execution.job.timeoutMs)
        : decideFailure(execution.job, reason, backoffOf(execution, rules), "timeout");
    default: // shutdown, which is never a failure; after lease_lost whatever is settled is refused
      return { kind: "release", delayMs: 0 };
  }
}

function backoffOf({ definition }: Execution, rules: Pick<AttemptRules, "backoff">): Backoff {
  return definition.backoff ?? rules.backoff;
}

/** The end of a run whose time is over. */
export function timedOut(timeoutMs: number): Outcome {
  const message = `The run took longer than its limit of ${timeoutMs} ms`;
  // Which of its steps can be undone only a replay can tell.
  return { kind: "compensate", cause: { code: "timeout", message } };
}
