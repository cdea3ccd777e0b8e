import { endsWithin } from "../core/clock.ts";
import { DispatchError } from "../core/errors.ts";
import { type Duration, parseDuration } from "../core/duration.ts";
import { checkId } from "../core/id.ts";
import { type Job, type JobRecord, type NewJob, type Scope, toJob } from "../core/job.ts";
import type { Event } from "../core/event.ts";
import { jobIdOf } from "../core/run.ts";
import type { Run } from "../core/run_view.ts";
import type { Store } from "../store/store.ts";
import type { AnyWorkflowDefinition, WorkflowDefinition } from "../workflow/definition.ts";
import type { Ambient } from "../workflow/host.ts";
import type { AnyJobDefinition, JobDefinition } from "./definition.ts";
import { type AnyDefinition, Definitions } from "./definitions.ts";
import type { DeadLetters } from "./dead_letters.ts";
import { buildJob, buildMany, type EnqueueItem, type EnqueueOptions } from "./enqueue.ts";
import type { Jobs } from "./jobs.ts";
import { Lifecycle, type LifecycleEvent } from "./lifecycle.ts";
import { type EngineOptions, type EngineSettings, readOptions } from "./options.ts";
import type { Queues } from "./queues.ts";
import { Machinery } from "./machinery.ts";
import { type LazyAdmin, lazyAdmin, lazyRuns, refuseName } from "./on_demand.ts";
import type { RunEngine } from "./run_engine.ts";
import type { Runs } from "./runs.ts";
import { scopedEngine } from "./scoped.ts";
import type { EventOptions, StartOptions } from "./start.ts";
import type { Stats } from "./stats.ts";
import { subscribe, type SubscribeFilter } from "./subscription.ts";

/**
 * Takes jobs in and, where `concurrency` is not 0, runs them. `createExtension()` makes one and
 * starts and stops it; it is the same object in every handler, route and script of the process.
 */
export class Engine {
  /** Looks at jobs and changes their course. */
  readonly jobs: Jobs;
  /** Looks at dead letters and replays them. */
  readonly dlq: DeadLetters;
  /** Looks at queues, pauses and limits them. */
  readonly queues: Queues;
  /** Looks at runs of workflows and changes their course. */
  readonly runs: Runs;
  readonly #admin: LazyAdmin;
  readonly #settings: EngineSettings;
  readonly #definitions = new Definitions();
  readonly #ambient?: Ambient;
  readonly #lifecycle: Lifecycle;
  readonly #stopped = new AbortController();
  #machinery: Machinery | null = null;
  #starting: Promise<void> | null = null;
  #stopping: Promise<void> | null = null;

  /**
   * Made by `createExtension()`.
   *
   * @throws {DispatchError} `invalid_concurrency`, `invalid_queue`, `invalid_duration`, `invalid_option`
   */
  constructor(options: EngineOptions = {}, ambient?: Ambient) {
    this.#settings = readOptions(options);
    this.#ambient = ambient;
    this.#lifecycle = new Lifecycle(this.#settings);
    const admin = this.#admin = lazyAdmin({
      store: () => this.#started().store,
      names: () => [...this.#definitions.jobs.keys()],
      onEnqueued: (job) => this.#lifecycle.emit("onJobEnqueued", job, {}),
      onCancelled: (job) => this.#machinery?.cancelled(job),
      onPaused: (queue) => this.#machinery?.worker?.release(queue),
    });
    this.jobs = admin.jobs;
    this.dlq = admin.dlq;
    this.queues = admin.queues;
    this.runs = lazyRuns(() => this.#workflows(), () => this.#definitions.workflowNames);
  }

  /**
   * Registers definitions, before or after start. Registering the same one again does nothing.
   *
   * @throws {DispatchError} `duplicate_job`, `duplicate_workflow` for another definition of a known
   * name or version, `workflows_not_supported` by the store
   */
  register(...definitions: readonly AnyDefinition[]): void {
    const machinery = this.#machinery;
    if (definitions.some(({ kind }) => kind === "workflow")) machinery?.expectRuns();
    this.#definitions.add(definitions);
    machinery?.worker?.wake();
  }

  /**
   * Enqueues a job. When the promise resolves the job is stored; concurrent calls share a write.
   * With a unique key that an unfinished job holds, that job is returned and none is added.
   *
   * @throws {DispatchError} `invalid_payload` (its schema), `payload_not_json`, `payload_too_large`,
   * `unknown_job` (under `strictNames`), `invalid_option`, `invalid_duration`, `invalid_moment`,
   * `invalid_queue`, `invalid_job_name`, `not_started`, `stopped`
   */
  enqueue<Input>(
    job: JobDefinition<Input, unknown>,
    input: Input,
    options?: EnqueueOptions,
  ): Promise<Job>;
  /** Enqueues a job by name: its definition need not be registered in this process. */
  enqueue(job: string, input?: unknown, options?: EnqueueOptions): Promise<Job>;
  async enqueue(
    job: AnyJobDefinition | string,
    input?: unknown,
    options: EnqueueOptions = {},
  ): Promise<Job> {
    const machinery = this.#started();
    const built = this.#build(machinery, job, input, options);
    const asked = built instanceof Promise ? await built : built;
    if (options.tx === undefined) return this.#enqueued(asked, await machinery.enqueue(asked));
    const [record] = await machinery.transactions().enqueue(options.tx, [asked]);
    return toJob(record);
  }

  /**
   * Enqueues many jobs in one write: all of them or, when one is refused, none. `tx` is your own open
   * transaction, for all of them.
   *
   * @throws {DispatchError} as `enqueue`; the message names the position
   */
  async enqueueMany(
    items: readonly EnqueueItem[],
    { tx }: { tx?: unknown } = {},
  ): Promise<Job[]> {
    const machinery = this.#started();
    const asked = await buildMany(
      items,
      ({ job, input, options }) => this.#build(machinery, job, input, options ?? {}),
    );
    if (asked.length === 0) return [];
    if (tx !== undefined) return (await machinery.transactions().enqueue(tx, asked)).map(toJob);
    const records = await machinery.store.jobs.enqueue(asked, true);
    return records.map((record, i) => this.#enqueued(asked[i], record));
  }

  /**
   * Starts a run of a workflow: by its definition in that version, by name in the latest one that is
   * registered here. When the promise resolves the run is stored. With the id of a run that exists, or
   * a unique key that an unfinished run of it holds, that run is returned and none is started.
   *
   * @throws {DispatchError} `unknown_workflow`, `invalid_id`, `workflows_not_supported`, and as `enqueue`
   */
  startWorkflow<I>(
    flow: WorkflowDefinition<I, unknown>,
    input: I,
    options?: StartOptions,
  ): Promise<Run>;
  /** Starts a run by the name of its workflow. */
  startWorkflow(flow: string, input?: unknown, options?: StartOptions): Promise<Run>;
  async startWorkflow(
    flow: AnyWorkflowDefinition | string,
    input?: unknown,
    options: StartOptions = {},
  ): Promise<Run> {
    return await (await this.#workflows()).start(flow, input, options);
  }

  /**
   * Sends an event to one run: it ends the step that waits for it, or is kept until one does.
   *
   * @throws {DispatchError} `invalid_id`, `not_found`, `wrong_state` for a run that has ended,
   * `invalid_step`, `payload_not_json`, `payload_too_large`, `workflows_not_supported`
   */
  async triggerEvent(
    runId: string,
    name: string,
    payload?: unknown,
    options: EventOptions = {},
  ): Promise<Event> {
    return await (await this.#workflows()).publish(name, payload, options, runId);
  }

  /**
   * Sends an event to every run that waits for its name and key, also to those that begin to wait
   * later, as long as it is kept (`retention.events`): each run takes it once.
   *
   * @throws {DispatchError} as `triggerEvent`
   */
  async publishEvent(
    name: string,
    payload?: unknown,
    options: EventOptions & { key?: string } = {},
  ): Promise<Event> {
    return await (await this.#workflows()).publish(name, payload, options, null);
  }

  /**
   * Waits for a job or a run to end and returns what its handler returned.
   *
   * @throws {DispatchError} `job_failed` or `run_failed` with its last error, `cancelled`, `not_found` also when it
   * was removed or pruned meanwhile, `result_timeout`, `stopped`
   */
  async result<Result = unknown>(
    id: string,
    { timeout }: { timeout?: Duration } = {},
  ): Promise<Result> {
    const machinery = this.#started();
    const timeoutMs = timeout === undefined ? null : parseDuration(timeout, "timeout");
    const jobId = id.startsWith("run_") ? jobIdOf(id) : checkId("job", id);
    return (await machinery.waiting()).wait(jobId, timeoutMs) as Promise<Result>;
  }

  /** Counts everything. */
  async stats(): Promise<Stats> {
    return await (await this.#admin.load()).stats();
  }

  /**
   * Yields what happens in this process from now on, until the reader leaves the loop or the engine
   * stops. A reader that is 10,000 events behind loses the oldest.
   */
  subscribe(filter: SubscribeFilter = {}): AsyncIterableIterator<LifecycleEvent> {
    return subscribe(this.#lifecycle, filter, this.#stopped.signal);
  }

  /** The same engine; what it enqueues and starts belongs to a scope, unless it is given another. */
  withScope(scope: Scope): Engine {
    return scopedEngine(this, scope);
  }

  /**
   * Starts working on a store, which is migrated already. Called by the extension.
   *
   * @throws {DispatchError} `stopped`
   */
  start(store: Store): Promise<void> {
    if (this.#stopping !== null) return Promise.reject(stopped("start"));
    return this.#starting ??= this.#start(store);
  }

  /** Drains and stops for good. Called by the extension, which closes the store. */
  stop(): Promise<void> {
    return this.#stopping ??= this.#stop();
  }

  async #start(store: Store): Promise<void> {
    const machinery = this.#machinery = new Machinery({
      engine: this,
      store,
      settings: this.#settings,
      lifecycle: this.#lifecycle,
      definitions: this.#definitions,
      ambient: this.#ambient,
    });
    try {
      await machinery.start();
    } catch (error) {
      this.#machinery = this.#starting = null; // so that a start can be tried again
      await machinery.stop();
      throw error;
    }
  }

  async #stop(): Promise<void> {
    const { clock, shutdownMs, logger } = this.#settings;
    await this.#machinery?.stop();
    if (!await endsWithin(clock, Math.max(1000, shutdownMs), this.#lifecycle.shutdown())) {
      logger.warn("stopped although an onShutdown hook has not ended");
    }
    this.#stopped.abort();
  }

  #started(): Machinery {
    if (this.#stopped.signal.aborted) throw stopped("use");
    if (this.#machinery === null) {
      throw new DispatchError("not_started", "Cannot use the engine: it has not been started");
    }
    return this.#machinery;
  }

  /** What the engine does for runs, loaded when it is first wanted. */
  async #workflows(): Promise<RunEngine> {
    return await this.#started().workflows();
  }

  #build(
    { store }: Machinery,
    job: AnyJobDefinition | string,
    input: unknown,
    options: EnqueueOptions,
  ): NewJob | Promise<NewJob> {
    const { name, definition } = this.#definitions.find(job);
    const { jobs } = this.#definitions;
    if (this.#settings.strictNames && !jobs.has(name)) return refuseName(name, jobs.keys());
    return buildJob(name, definition, input, options, store.maxPayloadBytes);
  }

  /** A record under another id is the one that held the unique key: nothing was enqueued. */
  #enqueued(asked: NewJob, record: JobRecord): Job {
    const job = toJob(record);
    if (record.id === asked.id && this.#lifecycle.wants("onJobEnqueued")) {
      this.#lifecycle.emit("onJobEnqueued", job, {});
    }
    return job;
  }
}

function stopped(verb: string): DispatchError {
  return new DispatchError("stopped", `Cannot ${verb} the engine: it has stopped`);
}
