import { DispatchError, show } from "./errors.ts";
import { isName } from "./name.ts";

/** Longest name of a workflow and of a step: a number and a prefix are added to them. */
const MAX_SHORT_LENGTH = 150;

/** @throws {DispatchError} `invalid_workflow_name` */
export function checkWorkflowName(value: unknown): string {
  if (isName(value) && value.length <= MAX_SHORT_LENGTH) return value;
  throw new DispatchError(
    "invalid_workflow_name",
    `Cannot use ${show(value)} as a workflow's name`,
  );
}

/** @throws {DispatchError} `invalid_step` */
export function checkStepName(value: unknown): string {
  if (isName(value) && value.length <= MAX_SHORT_LENGTH) return value;
  throw new DispatchError("invalid_step", `Cannot use ${show(value)} as a step's name`);
}
