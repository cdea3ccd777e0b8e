import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Backoff } from "../core/backoff.ts";
import { type Duration, parseDuration } from "../core/duration.ts";
import { invalidOption, show } from "../core/errors.ts";
import { checkQueue } from "../core/name.ts";
import { checkWorkflowName } from "../core/workflow_name.ts";
import type { Step } from "./step.ts";

/** What {@link defineWorkflow} takes besides `input` and `handler`. */
export interface WorkflowOptions {
  /** 1 to 150 printable characters. It is stored with every run. */
  name: string;
  /**
   * A whole number from 1. Runs keep the version that they were started with: when the order of steps
   * changes, register the new version beside the old one until its runs have ended. Default 1.
   */
  version?: number;
  /** Queue that its runs wait in. Default `"default"`. */
  queue?: string;
  /** Higher runs first within its queue. Default 0. */
  priority?: number;
  /** Attempts of a whole run after the first one; completed steps are kept. Default 0. */
  maxRetries?: number;
  /** How long a run may take in all, sleeps included. Default: no limit. */
  timeout?: Duration;
  /** Delay before a retry of the run, and of its steps. Default: that of the engine. */
  backoff?: Backoff;
}

/** One version of a workflow. Made by {@link defineWorkflow}. */
export interface WorkflowDefinition<Input = unknown, Output = unknown> {
  /** Tells it from other kinds of definition. */
  readonly kind: "workflow";
  /** Its name. */
  readonly name: string;
  /** Its version. */
  readonly version: number;
  /** Queue that its runs wait in. */
  readonly queue: string;
  /** Higher runs first. */
  readonly priority: number;
  /** Attempts of a whole run after the first one. */
  readonly maxRetries: number;
  /** Milliseconds a run may take in all; 0 is no limit. */
  readonly timeoutMs: number;
  /** Delay before a retry, where it is not the engine's. */
  readonly backoff?: Backoff;
  /** Checks and transforms the input. */
  readonly input?: StandardSchemaV1;
  /** Does the work, by steps. */
  handler(input: unknown, step: Step): unknown;
  /** Carries the types; never set. */
  readonly types?: { readonly input: Input; readonly output: Output };
}

/** Any workflow, whatever its types. */
// deno-lint-ignore no-explicit-any -- Input is contravariant: only any accepts every definition
export type AnyWorkflowDefinition = WorkflowDefinition<any, any>;

/** Options of a workflow whose input a schema describes. */
export interface SchemaWorkflowOptions<S extends StandardSchemaV1, Output> extends WorkflowOptions {
  /** Checks the input when a run is started and again when it goes on. */
  input: S;
  /** Does the work; gets what the schema makes of the input. */
  handler(input: StandardSchemaV1.InferOutput<S>, step: Step): Output;
}

/** Options of a workflow whose input nothing checks. */
export interface PlainWorkflowOptions<Input, Output> extends WorkflowOptions {
  /** Not given. */
  input?: undefined;
  /** Does the work. */
  handler(input: Input, step: Step): Output;
}

/**
 * Defines a workflow: an ordinary async function whose steps are remembered. After a crash, a sleep or
 * a wait the function is run again from its start and gets the remembered results, so apart from its
 * steps it must do nothing that may not be repeated, and call them in the same order each time.
 *
 * @throws {DispatchError} `invalid_workflow_name`, `invalid_queue`, `invalid_duration`,
 * `invalid_option`
 *
 * @example
 * ```ts
 * import { defineWorkflow } from "@dispatch/dispatch";
 *
 * const Remind = defineWorkflow({
 *   name: "remind",
 *   handler: async (input: { to: string }, step) => {
 *     await step.sleep("a day", "1d");
 *     const answered = await step.waitForEvent("answered", { timeout: "7d" });
 *     if (answered === null) await step.run("remind", () => fetch(`https://mail.example/${input.to}`).then(() => {}));
 *   },
 * });
 * ```
 */
export function defineWorkflow<S extends StandardSchemaV1, Output>(
  options: SchemaWorkflowOptions<S, Output>,
): WorkflowDefinition<StandardSchemaV1.InferInput<S>, Awaited<Output>>;
/** Defines a workflow whose input nothing checks. */
export function defineWorkflow<Input, Output>(
  options: PlainWorkflowOptions<Input, Output>,
): WorkflowDefinition<Input, Awaited<Output>>;
export function defineWorkflow(
  // deno-lint-ignore no-explicit-any -- the overloads above are what callers see
  options: WorkflowOptions & { input?: StandardSchemaV1; handler(input: any, step: Step): unknown },
): WorkflowDefinition {
  const name = checkWorkflowName(options.name);
  const what = `of workflow ${JSON.stringify(name)}`;
  if (typeof options.handler !== "function") {
    throw invalidOption(
      `Cannot use the handler ${what}: it is no function`,
      "Pass an async function.",
    );
  }
  if (options.input !== undefined && typeof options.input?.["~standard"]?.validate !== "function") {
    throw invalidOption(
      `Cannot use the input ${what}: it is no schema`,
      "Pass a schema of a library that implements Standard Schema: zod, valibot, arktype, …",
    );
  }
  return {
    kind: "workflow",
    name,
    version: whole(options.version ?? 1, `the version ${what}`, 1),
    queue: checkQueue(options.queue ?? "default"),
    priority: whole(options.priority ?? 0, `the priority ${what}`, -1_000_000),
    maxRetries: whole(options.maxRetries ?? 0, `maxRetries ${what}`, 0),
    timeoutMs: parseDuration(options.timeout ?? 0, `the timeout ${what}`),
    backoff: options.backoff,
    input: options.input,
    handler: options.handler,
  };
}

function whole(value: number, what: string, least: number): number {
  if (Number.isInteger(value) && value >= least && value <= 1_000_000) return value;
  throw invalidOption(
    `Cannot use ${what}: current value is ${show(value)}`,
    `Expected a whole number from ${least} to 1,000,000.`,
  );
}
