/** One slice of a run, to one outcome: what a job's attempt is to a job. */

import { messageOf } from "../core/errors.ts";
import { encodeJson } from "../core/json.ts";
import {
  decideFailure,
  type Failure,
  isJobSignal,
  type Outcome,
  toFailure,
} from "../core/outcome.ts";
import type { Rewind } from "../core/run.ts";
import type { RunRest } from "../store/store.ts";
import type { AnyWorkflowDefinition } from "../workflow/definition.ts";
import { undoSlice } from "../workflow/saga.ts";
import { runSlice, type SliceEnd } from "../workflow/slice.ts";
import { abortedOutcome, type AttemptRules, REFUSED_DELAY_MS, timedOut } from "./attempt.ts";
import { checkInput } from "./check_input.ts";
import type { Execution } from "./execution.ts";
import type { RunEngine } from "./run_engine.ts";

/** Runs one slice of a claimed run. */
export async function attemptRun(
  engine: RunEngine,
  execution: Execution,
  workflow: AnyWorkflowDefinition,
  rules: AttemptRules,
): Promise<Outcome> {
  const backoff = workflow.backoff ?? rules.backoff;
  const rest = await engine.resume(execution.id);
  const input = await checkInput(workflow, execution.payload);
  if (input.refused) return giveUp(toFailure(input.refused, "invalid_payload"), null, false);
  const own = { ...rules, backoff };
  const slice = new RunAttempt(engine, execution, workflow, own, rest, input.input);
  return await (rest.compensating ? slice.undo() : slice.forward());
}

class RunAttempt {
  readonly #engine: RunEngine;
  readonly #execution: Execution;
  readonly #workflow: AnyWorkflowDefinition;
  readonly #rules: AttemptRules;
  readonly #rest: RunRest;
  readonly #input: unknown;

  constructor(
    engine: RunEngine,
    execution: Execution,
    workflow: AnyWorkflowDefinition,
    rules: AttemptRules,
    rest: RunRest,
    input: unknown,
  ) {
    this.#engine = engine;
    this.#execution = execution;
    this.#workflow = workflow;
    this.#rules = rules;
    this.#rest = rest;
    this.#input = input;
  }

  /** Does what the handler says, as far as it comes. */
  async forward(): Promise<Outcome> {
    const { job } = this.#execution;
    const since = this.#rest.since ?? job.createdAt;
    const deadline = job.timeoutMs === 0 ? null : since + job.timeoutMs;
    if (deadline !== null) {
      const leftMs = deadline - job.startedAt!;
      if (leftMs <= 0) return timedOut(job.timeoutMs);
      this.#execution.limit(leftMs);
    }
    const end = await this.#throughMiddleware();
    switch (end.kind) {
      case "completed":
        return this.#complete(end.output);
      case "failed":
        return this.#failed(end);
      case "parked":
        return { kind: "park", timed: end.timed, accepted: end.accepted, deadline };
      case "aborted":
        return abortedOutcome(this.#execution, this.#rules, this.#execution.abortReason!);
      case "refused":
        return this.#refused(end.error);
    }
  }

  /** Undoes what it did, as far as it comes. */
  async undo(): Promise<Outcome> {
    const end = await undoSlice(this.#workflow, this.#input, this.#host(), this.#rest.checkpoints);
    const { cause } = this.#rest;
    switch (end.kind) {
      case "undone":
        return cause === null
          ? { kind: "cancel", reason: "The run was cancelled and has undone its steps" }
          : { kind: "dead", failure: cause };
      case "stuck": {
        const why = cause === null ? "" : ` The run had failed: ${cause.message}`;
        return { kind: "dead", failure: { ...end.failure, message: end.failure.message + why } };
      }
      case "parked":
        return { kind: "park", timed: end.timed, accepted: end.accepted, deadline: null };
      case "aborted":
        return { kind: "release", delayMs: 0 };
      case "refused":
        return this.#refused(end.error);
    }
  }

  #host() {
    return this.#engine.host(this.#execution, this.#rules);
  }

  /** A slice goes through the middleware as an attempt of a job does; when it parks, as undefined. */
  async #throughMiddleware(): Promise<SliceEnd> {
    const run = () => runSlice(this.#workflow, this.#input, this.#host(), this.#rest.checkpoints);
    const { middleware } = this.#rules;
    if (middleware === null) return await run();
    let end: SliceEnd | null = null;
    try {
      const output = await middleware(this.#execution, async () => {
        end = await run();
        if (end.kind === "failed") throw end.thrown;
        return end.kind === "completed" ? end.output : undefined;
      });
      return ended(end)?.kind === "completed" || end === null ? { kind: "completed", output } : end;
    } catch (thrown) {
      const own = ended(end);
      if (own?.kind === "failed") return { ...own, thrown };
      return { kind: "failed", thrown, rewind: null, undo: true };
    }
  }

  #complete(output: unknown): Outcome {
    try {
      const what = `the output of ${this.#workflow.name}`;
      return { kind: "complete", result: encodeJson(output, what, this.#rules.maxPayloadBytes) };
    } catch (thrown) {
      return giveUp(toFailure(thrown, "invalid_result"), null, true);
    }
  }

  #failed({ thrown, rewind, undo }: Extract<SliceEnd, { kind: "failed" }>): Outcome {
    const outcome = decideFailure(this.#execution.job, thrown, this.#rules.backoff, codeOf(thrown));
    if (outcome.kind === "dead") {
      const mayUndo = undo && outcome.failure.code !== "nondeterministic";
      return giveUp(outcome.failure, rewind, mayUndo);
    }
    return outcome.kind === "retry" && rewind !== null ? { ...outcome, rewind } : outcome;
  }

  #refused(error: { readonly lost: boolean; readonly cause?: unknown }): Outcome {
    if (!error.lost) {
      this.#rules.logger.error("the store does not take the steps of a run", {
        run: this.#execution.id,
        error: messageOf(error.cause ?? error),
      });
    }
    const interrupted = this.#execution.abortReason !== null;
    return { kind: "release", delayMs: interrupted ? 0 : REFUSED_DELAY_MS };
  }
}

/** The flow of control hides assignments in callbacks from the compiler. */
function ended(end: SliceEnd | null): SliceEnd | null {
  return end;
}

/** A run that failed for good: what can be undone is undone first. */
function giveUp(failure: Failure, rewind: Rewind | null, undo: boolean): Outcome {
  if (undo) return { kind: "compensate", cause: failure };
  return rewind === null ? { kind: "dead", failure } : { kind: "dead", failure, rewind };
}

function codeOf(thrown: unknown): Failure["code"] {
  if (isJobSignal(thrown) || !(thrown instanceof Error) || !("code" in thrown)) {
    return "handler_failed";
  }
  return CODES.find((code) => code === thrown.code) ?? "handler_failed";
}

const CODES: readonly Failure["code"][] = [
  "step_failed",
  "nondeterministic",
  "invalid_step",
  "nested_step",
  "step_after_end",
];
