import type { StandardSchemaV1 } from "@standard-schema/spec";
import type { Backoff } from "../core/backoff.ts";
import { type Duration, parseDuration } from "../core/duration.ts";
import { DispatchError, invalidOption, show } from "../core/errors.ts";
import type { Scope } from "../core/job.ts";
import { checkJobName, checkQueue } from "../core/name.ts";
import { isRunName } from "../core/run.ts";
import type { AnyWorkflowDefinition } from "../workflow/definition.ts";
import type { Engine } from "./engine.ts";

/** What a handler and a middleware know of the job that they work on. */
export interface JobContext {
  /** `job_…`. */
  readonly id: string;
  /** Name of the definition. */
  readonly name: string;
  /** Queue that it came from. */
  readonly queue: string;
  /** Its priority. */
  readonly priority: number;
  /** The input as it was enqueued, before the schema. */
  readonly payload: unknown;
  /** 1 for the first attempt. */
  readonly attempt: number;
  /** Failures so far. */
  readonly retryCount: number;
  /** Failures that are retried. */
  readonly maxRetries: number;
  /** Its labels. */
  readonly tags: readonly string[];
  /** Its tenant. */
  readonly scope: Scope;
  /** When it was enqueued. */
  readonly createdAt: Date;
  /**
   * Aborts when the job times out, is cancelled, loses its lease, or when the worker stops. Pass it
   * on to `fetch` and the like, and throw when it aborts: the reason is a {@link DispatchError} with
   * code `timeout`, `cancelled`, `lease_lost` or `shutdown`. What a handler returns after an abort
   * counts only if it never looked at the signal.
   */
  readonly signal: AbortSignal;
  /** The engine, to enqueue further jobs. */
  readonly engine: Engine;
  /**
   * Stores how far the job is: any JSON, shown on the job and in the admin API. Calls that come
   * while one is being written are merged, the latest value wins.
   *
   * @throws {DispatchError} `lease_lost` when another worker owns the job, `payload_not_json`
   */
  progress(value: unknown): Promise<void>;
  /**
   * Runs your writes and the completion of this job in one transaction of the store's database, so
   * that their effects happen exactly once, whatever crashes: if the lease was lost meanwhile, all of
   * it is rolled back. `tx` is the client's own transaction; what the callback returns becomes the
   * job's result. Once it has resolved the job is completed, and the handler should return.
   *
   * @throws {DispatchError} `lease_lost`, `wrong_state` for a second one, `invalid_option` where the
   * store has no transactions, `payload_not_json`
   */
  transaction<Tx, Result>(work: (tx: Tx) => Promise<Result>): Promise<Result>;
}

/** What {@link defineJob} takes besides `input` and `handler`. */
export interface JobOptions {
  /** Unique among the definitions: 1 to 200 printable characters. It is stored with every job. */
  name: string;
  /** Queue to wait in. Default `"default"`. */
  queue?: string;
  /** Higher runs first within its queue. Default 0. */
  priority?: number;
  /** Failures that are retried before the job goes to the dead letters. Default 3. */
  maxRetries?: number;
  /** How long one attempt may take. Default: no limit. */
  timeout?: Duration;
  /** Delay before a retry. Default: that of the engine. */
  backoff?: Backoff;
}

/** A kind of job: its name, its input, its rules and its handler. Made by {@link defineJob}. */
export interface JobDefinition<Input = unknown, Result = unknown> {
  /** Tells it from other kinds of definition. */
  readonly kind: "job";
  /** Its name. */
  readonly name: string;
  /** Queue to wait in. */
  readonly queue: string;
  /** Higher runs first. */
  readonly priority: number;
  /** Failures that are retried. */
  readonly maxRetries: number;
  /** Milliseconds an attempt may take; 0 is no limit. */
  readonly timeoutMs: number;
  /** Delay before a retry, where it is not the engine's. */
  readonly backoff?: Backoff;
  /** Checks and transforms the input. */
  readonly input?: StandardSchemaV1;
  /** Does the work. `Input` and `Result` are what it takes and returns, seen from the caller. */
  handler(input: unknown, job: JobContext): unknown;
  /** The workflow whose runs are jobs of this kind. */
  readonly workflow?: AnyWorkflowDefinition;
  /** Carries the types; never set. */
  readonly types?: { readonly input: Input; readonly result: Result };
}

/** Any definition, whatever its types. */
// deno-lint-ignore no-explicit-any -- Input is contravariant: only any accepts every definition
export type AnyJobDefinition = JobDefinition<any, any>;

/** Options of a job whose input a schema describes. */
export interface SchemaJobOptions<S extends StandardSchemaV1, Result> extends JobOptions {
  /** Checks the input at enqueue and again before the handler runs. */
  input: S;
  /** Does the work; gets what the schema makes of the input. */
  handler(input: StandardSchemaV1.InferOutput<S>, job: JobContext): Result;
}

/** Options of a job whose input nothing checks. */
export interface PlainJobOptions<Input, Result> extends JobOptions {
  /** Not given. */
  input?: undefined;
  /** Does the work. */
  handler(input: Input, job: JobContext): Result;
}

/**
 * Defines a kind of job. With `input`, a schema of any Standard Schema library, the input is checked
 * where it is enqueued and again before the handler runs, which gets the schema's output.
 *
 * @throws {DispatchError} `invalid_job_name`, `invalid_queue`, `invalid_duration`, `invalid_option`
 *
 * @example
 * ```ts
 * import { defineJob } from "@dispatch/dispatch";
 *
 * const SendEmail = defineJob({
 *   name: "send_email",
 *   maxRetries: 5,
 *   timeout: "30s",
 *   handler: async (input: { to: string }, job) => {
 *     await fetch(`https://mail.example/send?to=${input.to}`, { signal: job.signal });
 *   },
 * });
 * ```
 */
export function defineJob<S extends StandardSchemaV1, Result>(
  options: SchemaJobOptions<S, Result>,
): JobDefinition<StandardSchemaV1.InferInput<S>, Awaited<Result>>;
/** Defines a kind of job whose input nothing checks. */
export function defineJob<Input, Result>(
  options: PlainJobOptions<Input, Result>,
): JobDefinition<Input, Awaited<Result>>;
export function defineJob(
  // deno-lint-ignore no-explicit-any -- the overloads above are what callers see
  options: JobOptions & { input?: StandardSchemaV1; handler(input: any, job: JobContext): unknown },
): JobDefinition {
  const name = checkNoRun(checkJobName(options.name));
  const what = `of job ${JSON.stringify(name)}`;
  if (typeof options.handler !== "function") {
    throw invalidOption(`Cannot use the handler ${what}: it is no function`, "Pass a function.");
  }
  if (options.input !== undefined && typeof options.input?.["~standard"]?.validate !== "function") {
    throw invalidOption(
      `Cannot use the input ${what}: it is no schema`,
      "Pass a schema of a library that implements Standard Schema: zod, valibot, arktype, …",
    );
  }
  return {
    kind: "job",
    name,
    queue: checkQueue(options.queue ?? "default"),
    priority: checkPriority(options.priority ?? 0, `the priority ${what}`),
    maxRetries: checkCount(options.maxRetries ?? 3, `maxRetries ${what}`),
    timeoutMs: parseDuration(options.timeout ?? 0, `the timeout ${what}`),
    backoff: options.backoff,
    input: options.input,
    handler: options.handler,
  };
}

/**
 * Refuses the names that runs of workflows have.
 *
 * @throws {DispatchError} `invalid_job_name`
 */
export function checkNoRun(name: string): string {
  if (!isRunName(name)) return name;
  throw new DispatchError("invalid_job_name", `Cannot use ${show(name)} as a job's name`, {
    hint: "Names of this form are those of runs: use engine.startWorkflow().",
  });
}

/** @throws {DispatchError} `invalid_option` */
export function checkPriority(value: number, what: string): number {
  if (Number.isInteger(value) && Math.abs(value) <= 1_000_000) return value;
  throw invalidOption(
    `Cannot use ${what}: current value is ${show(value)}`,
    "A priority is a whole number from -1,000,000 to 1,000,000; higher runs first.",
  );
}

/** @throws {DispatchError} `invalid_option` */
export function checkCount(value: number, what: string): number {
  if (Number.isInteger(value) && value >= 0 && value <= 1_000_000) return value;
  throw invalidOption(
    `Cannot use ${what}: current value is ${show(value)}`,
    "Expected a whole number from 0 to 1,000,000.",
  );
}
