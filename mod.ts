/**
 * Dispatch: background jobs that survive, as a library for Deno and Node.
 *
 * {@link createExtension} gives an extension with an engine, a Hono sub-app and start and stop.
 * Jobs are defined with {@link defineJob}, enqueued with `engine.enqueue()`, and run by the workers
 * of every process that shares the store.
 *
 * @example
 * ```ts
 * import { createExtension, defineJob } from "@dispatch/dispatch";
 *
 * const Greet = defineJob({
 *   name: "greet",
 *   handler: (input: { name: string }) => `Hello, ${input.name}!`,
 * });
 *
 * await using dispatch = createExtension({ jobs: [Greet], config: false });
 * await dispatch.start();
 * const job = await dispatch.engine.enqueue(Greet, { name: "Ada" });
 * console.log(await dispatch.engine.result(job.id)); // Hello, Ada!
 * ```
 *
 * @module
 */

// The adapter
export {
  createExtension,
  type Extension,
  type ExtensionOptions,
} from "./src/extension/extension.ts";
export { engineFrom } from "./src/extension/engine_from.ts";
export {
  createRegistry,
  type Handle,
  type NamedHandles,
  type Registry,
  type RegistryEntries,
  type RegistryEntry,
} from "./src/extension/registry.ts";
export type { Auth } from "./src/http/auth.ts";
export type { Health } from "./src/http/health.ts";

// Jobs
export {
  type AnyJobDefinition,
  defineJob,
  type JobContext,
  type JobDefinition,
  type JobOptions,
  type PlainJobOptions,
  type SchemaJobOptions,
} from "./src/engine/definition.ts";

// Workflows
export {
  type AnyWorkflowDefinition,
  defineWorkflow,
  type PlainWorkflowOptions,
  type SchemaWorkflowOptions,
  type WorkflowDefinition,
  type WorkflowOptions,
} from "./src/workflow/definition.ts";
export type { Step, WorkflowOf } from "./src/workflow/step.ts";
export type { StepContext } from "./src/workflow/steps/attempt.ts";
export type { StepOptions } from "./src/workflow/steps/run.ts";
export type { WaitOptions } from "./src/workflow/steps/wait.ts";
export type { FanOutOptions } from "./src/workflow/steps/child.ts";
export type {
  Accepted,
  Checkpoint,
  Rewind,
  RunCounts,
  RunRecord,
  RunState,
  StepKind,
} from "./src/core/run.ts";
export type { Run, RunStep, WaitingFor } from "./src/core/run_view.ts";
export type { Event, EventRecord, NewEvent } from "./src/core/event.ts";

// What handlers throw on purpose, and what jobs are
export { cancel, discard, type Failure, JobSignal, snooze } from "./src/core/outcome.ts";
export type { Job, JobCounts, JobState, Scope } from "./src/core/job.ts";
export type { DeadLetter } from "./src/core/dead_letter_view.ts";
export type { Queue, QueueSettings } from "./src/core/queue.ts";

// The engine
export type { Engine } from "./src/engine/engine.ts";
export type { Stats } from "./src/engine/stats.ts";
export type { AnyDefinition } from "./src/engine/definitions.ts";
export type { EventOptions, StartOptions } from "./src/engine/start.ts";
export type { RunFilter, RunMessage, Runs } from "./src/engine/runs.ts";
export type { EngineOptions } from "./src/engine/options.ts";
export type { EnqueueItem, EnqueueOptions } from "./src/engine/enqueue.ts";
export type { JobFilter, Jobs } from "./src/engine/jobs.ts";
export type { DeadLetterFilter, DeadLetters, ReplaySummary } from "./src/engine/dead_letters.ts";
export type { QueueLimits } from "./src/engine/queue_limits.ts";
export type { Queues } from "./src/engine/queues.ts";
export type { List, ListOptions } from "./src/engine/list.ts";
export type { Retention } from "./src/engine/retention.ts";
export type {
  JobDetails,
  JobHook,
  LifecycleEvent,
  LifecycleExtension,
  RunInfo,
} from "./src/engine/lifecycle.ts";
export type { SubscribeFilter } from "./src/engine/subscription.ts";

// Middleware
export { compose, type Middleware } from "./src/engine/middleware/compose.ts";
export { recover } from "./src/engine/middleware/recover.ts";
export { timeout } from "./src/engine/middleware/timeout.ts";
export { logging } from "./src/engine/middleware/logging.ts";
export { scope } from "./src/engine/middleware/scope.ts";

// Backoff
export {
  type Backoff,
  type BackoffOptions,
  constant,
  exponential,
  jittered,
  linear,
} from "./src/core/backoff.ts";

// Stores
export { memoryStore, type MemoryStoreOptions } from "./src/store/memory/store.ts";
export { kvStore, type KvStoreOptions } from "./src/store/kv/store.ts";
export type {
  KvAtomic,
  KvClient,
  KvEntry,
  KvKey,
  KvListOptions,
  KvSelector,
} from "./src/store/kv/client.ts";
export { postgresStore, type PostgresStoreOptions } from "./src/extension/postgres.ts";
export type * from "./src/store/store.ts";
export type { ClaimedJob, Lease, LeaseStatus, LeaseToken } from "./src/core/lease.ts";
export type { JobRecord, NewJob } from "./src/core/job.ts";
export type { DeadLetterRecord } from "./src/core/dead_letter.ts";
export type { JobOutcome, Outcome, RunOutcome } from "./src/core/outcome.ts";

// What all of them share
export {
  DispatchError,
  type DispatchErrorOptions,
  ERROR_HINTS,
  type ErrorCode,
} from "./src/core/errors.ts";
export type { Duration, Moment } from "./src/core/duration.ts";
export type { Json, JsonText } from "./src/core/json.ts";
export type { Clock, EpochMs } from "./src/core/clock.ts";
export { consoleLogger, type LogFields, type Logger, silentLogger } from "./src/core/logger.ts";
