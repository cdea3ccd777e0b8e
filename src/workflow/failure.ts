/** The errors of steps, which are the same when they happen and when they are remembered. */

import { DispatchError } from "../core/errors.ts";
import type { Failure } from "../core/outcome.ts";
import type { Checkpoint, StepKind } from "../core/run.ts";

/** What the code gets for a step that failed for good. Its cause is the failure. */
export function stepFailure(name: string, failure: Failure): DispatchError {
  return new DispatchError(
    "step_failed",
    `Step ${JSON.stringify(name)} failed: ${failure.message}`,
    {
      cause: failure,
    },
  );
}

/** What is remembered for a place is not what the code asks for there. */
export function nondeterministic(
  position: number,
  recorded: Checkpoint,
  asked: { readonly kind: StepKind; readonly name: string } | null,
): DispatchError {
  const what = (step: { kind: StepKind; name: string }) =>
    `${step.kind} ${JSON.stringify(step.name)}`;
  const now = asked === null
    ? "the code does not call it any more"
    : `the code asks for ${what(asked)}`;
  return new DispatchError(
    "nondeterministic",
    `Cannot go on: step ${position} of the run was ${what(recorded)}, ${now}`,
    {
      hint: "Bring back the order of steps that the run was begun with, and register the changed " +
        "workflow as a new version beside it.",
    },
  );
}

export function nestedStep(name: string): DispatchError {
  return new DispatchError(
    "nested_step",
    `Cannot call step ${JSON.stringify(name)} inside another step`,
  );
}

export function stepAfterEnd(name: string): DispatchError {
  return new DispatchError(
    "step_after_end",
    `Cannot call step ${JSON.stringify(name)}: the handler has returned`,
  );
}
