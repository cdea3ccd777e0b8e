import { DispatchError, show } from "../../core/errors.ts";
import { withPrefix } from "../../core/id.ts";
import type { NewJob } from "../../core/job.ts";
import { toFailure } from "../../core/outcome.ts";
import type { AnyWorkflowDefinition } from "../definition.ts";
import type { Memo } from "../memo.ts";
import type { Call } from "../order.ts";

/** How many children of a fan-out run at once. */
export interface FanOutOptions {
  /** Default: all of them. */
  concurrency?: number;
}

/** A workflow, or its name: then its latest version is taken. */
export type ChildWorkflow = AnyWorkflowDefinition | string;

/** Starts a run and waits for its end. */
export function childStep(
  memo: Memo,
  name: string,
  workflow: ChildWorkflow,
  input: unknown,
): Promise<unknown> {
  const start = (call: Call): void => {
    if (call.recorded !== null) return memo.open(call, null, () => {});
    void memo.work(async () => {
      const child = await build(memo, call, workflow, input);
      if (child === null) return;
      await memo.recorder.save({ ...FRESH, ...fieldsOf(call), state: "open", seq: null, child });
      memo.open(call, null, () => {});
    });
  };
  return memo.call("child", name, start);
}

/** Starts a run and returns its id. */
export function spawnStep(
  memo: Memo,
  name: string,
  workflow: ChildWorkflow,
  input: unknown,
): Promise<unknown> {
  const start = (call: Call): void =>
    void memo.work(async () => {
      const child = await build(memo, call, workflow, input);
      if (child === null) return;
      const value = withPrefix("run", child.id);
      const slot = memo.reserve(call);
      const result = JSON.stringify(value);
      const fields = { ...FRESH, ...fieldsOf(call), result, seq: slot.seq, child };
      await memo.recorder.save({ ...fields, state: "completed" });
      memo.fill(slot, { state: "completed", value });
    });
  return memo.call("spawn", name, start);
}

/** Runs a child for each input, some at a time. */
export async function fanOutSteps(
  memo: Memo,
  name: string,
  workflow: ChildWorkflow,
  inputs: readonly unknown[],
  { concurrency = Infinity }: FanOutOptions,
): Promise<unknown[]> {
  if (!(concurrency >= 1) || !Array.isArray(inputs)) {
    throw new DispatchError("invalid_step", `Cannot fan out step ${show(name)} as it is given`, {
      hint: "Pass a list of inputs; concurrency is a whole number from 1.",
    });
  }
  const results = new Array<unknown>(inputs.length);
  let next = 0;
  let failed = false;
  const lane = async (): Promise<void> => {
    while (next < inputs.length && !failed) {
      const at = next++;
      try {
        results[at] = await childStep(memo, name, workflow, inputs[at]);
      } catch (error) {
        failed = true; // no further ones are started
        throw error;
      }
    }
  };
  const lanes = Array.from({ length: Math.min(concurrency, inputs.length) }, lane);
  await Promise.all(lanes);
  return results;
}

const FRESH = {
  attempt: 1,
  result: null,
  failure: null,
  delayMs: null,
  elapsedMs: 0,
} as const;

function fieldsOf({ position, name, kind }: Call) {
  return { position, name, kind };
}

/** The job of a child; null where there can be none: the step has failed, for good. */
async function build(
  memo: Memo,
  call: Call,
  workflow: ChildWorkflow,
  input: unknown,
): Promise<NewJob | null> {
  try {
    return await memo.host.buildChild(workflow, input);
  } catch (thrown) {
    const code = thrown instanceof DispatchError ? thrown.code : "handler_failed";
    const failure = toFailure(thrown, code);
    const slot = memo.reserve(call);
    const fields = { ...FRESH, ...fieldsOf(call), failure, seq: slot.seq };
    await memo.recorder.save({ ...fields, state: "failed" });
    memo.fill(slot, { state: "failed", failure });
    return null;
  }
}
