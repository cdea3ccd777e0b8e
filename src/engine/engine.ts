import { endsWithin } from "../core/clock.ts";
import { DispatchError } from "../core/errors.ts";
import { type Duration, parseDuration } from "../core/duration.ts";
import { checkId } from "../core/id.ts";
import {
  type Job,
  type JobCounts,
  type JobRecord,
  type NewJob,
  type Scope,
  toJob,
} from "../core/job.ts";
import type { Store } from "../store/store.ts";
import type { AnyJobDefinition, JobDefinition } from "./definition.ts";
import { DeadLetters } from "./dead_letters.ts";
import {
  buildJob,
  type EnqueueItem,
  type EnqueueOptions,
  oneTransaction,
  unknownJob,
} from "./enqueue.ts";
import { Jobs } from "./jobs.ts";
import { Lifecycle, type LifecycleEvent } from "./lifecycle.ts";
import { type EngineOptions, type EngineSettings, readOptions } from "./options.ts";
import { Queues } from "./queues.ts";
import { Machinery } from "./machinery.ts";
import { subscribe, type SubscribeFilter } from "./subscription.ts";

/** Figures about everything in a store. */
export interface Stats {
  /** Jobs by state. */
  jobs: JobCounts;
  /** Dead letters, replayed ones included. */
  dlqCount: number;
}

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
  readonly #settings: EngineSettings;
  readonly #definitions = new Map<string, AnyJobDefinition>();
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
  constructor(options: EngineOptions = {}) {
    this.#settings = readOptions(options);
    this.#lifecycle = new Lifecycle(this.#settings.logger);
    this.#lifecycle.add(...this.#settings.extensions);
    const store = () => this.#started().store;
    this.jobs = new Jobs(store, (job) => this.#onCancelled(job));
    this.dlq = new DeadLetters(store, (job) => this.#lifecycle.emit("onJobEnqueued", job, {}));
    this.queues = new Queues(store, (queue) => this.#machinery?.worker?.release(queue));
  }

  /**
   * Registers definitions, before or after start. Registering the same one again does nothing.
   *
   * @throws {DispatchError} `duplicate_job` for another definition of a known name
   */
  register(...definitions: readonly AnyJobDefinition[]): void {
    const all = new Map(this.#definitions);
    for (const definition of definitions) {
      const { name } = definition;
      if ((all.get(name) ?? definition) !== definition) {
        throw new DispatchError(
          "duplicate_job",
          `Cannot register job ${JSON.stringify(name)}: another definition has this name`,
        );
      }
      all.set(name, definition);
    }
    for (const [name, definition] of all) this.#definitions.set(name, definition);
    this.#machinery?.worker?.wake();
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
    const asked: NewJob[] = [];
    for (let i = 0; i < items.length; i++) {
      const { job, input, options: own } = items[i];
      try {
        if (own?.tx !== undefined) throw oneTransaction();
        const built = this.#build(machinery, job, input, own ?? {});
        asked.push(built instanceof Promise ? await built : built);
      } catch (error) {
        if (!(error instanceof DispatchError)) throw error;
        const { code, message, hint } = error;
        throw new DispatchError(code, `Cannot enqueue item ${i}: ${message}`, {
          hint,
          cause: error,
        });
      }
    }
    if (asked.length === 0) return [];
    if (tx !== undefined) return (await machinery.transactions().enqueue(tx, asked)).map(toJob);
    const records = await machinery.store.jobs.enqueue(asked);
    return records.map((record, i) => this.#enqueued(asked[i], record));
  }

  /**
   * Waits for a job to end and returns what its handler returned.
   *
   * @throws {DispatchError} `job_failed` with its last error, `cancelled`, `not_found` also when it
   * was removed or pruned meanwhile, `result_timeout`, `stopped`
   */
  // deno-lint-ignore require-await -- a malformed id must reject, not throw
  async result<Result = unknown>(
    id: string,
    options: { timeout?: Duration } = {},
  ): Promise<Result> {
    const { results } = this.#started();
    const timeoutMs = options.timeout === undefined
      ? null
      : parseDuration(options.timeout, "timeout");
    return results.wait(checkId("job", id), timeoutMs) as Promise<Result>;
  }

  /** Counts everything. */
  async stats(): Promise<Stats> {
    const { store } = this.#started();
    const [jobs, dlqCount] = await Promise.all([store.jobs.counts(), store.deadLetters.count({})]);
    return { jobs, dlqCount };
  }

  /**
   * Yields what happens in this process from now on, until the reader leaves the loop or the engine
   * stops. A reader that is 10,000 events behind loses the oldest.
   *
   * @example
   * ```ts
   * import type { Engine } from "@dispatch/dispatch";
   *
   * async function watch(engine: Engine) {
   *   for await (const { type, job } of engine.subscribe({ queue: "default" })) {
   *     console.log(type, job.id);
   *   }
   * }
   * ```
   */
  subscribe(filter: SubscribeFilter = {}): AsyncIterableIterator<LifecycleEvent> {
    return subscribe(this.#lifecycle, filter, this.#stopped.signal);
  }

  /** The same engine, whose `enqueue` and `enqueueMany` default to a scope. */
  withScope(scope: Scope): Engine {
    const scoped = (options?: EnqueueOptions) => ({ ...options, scope: options?.scope ?? scope });
    const enqueue = (job: AnyJobDefinition, input: unknown, options?: EnqueueOptions) =>
      this.enqueue(job, input, scoped(options));
    const enqueueMany = (items: readonly EnqueueItem[], options?: { tx?: unknown }) =>
      this.enqueueMany(items.map((item) => ({ ...item, options: scoped(item.options) })), options);
    return new Proxy(this, {
      get(engine, key) {
        if (key === "enqueue") return enqueue;
        if (key === "enqueueMany") return enqueueMany;
        const value = Reflect.get(engine, key);
        return typeof value === "function" ? value.bind(engine) : value;
      },
    });
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

  #build(
    machinery: Machinery,
    job: AnyJobDefinition | string,
    input: unknown,
    options: EnqueueOptions,
  ): NewJob | Promise<NewJob> {
    const definition = typeof job === "string" ? this.#definitions.get(job) : job;
    const name = typeof job === "string" ? job : job.name;
    if (this.#settings.strictNames && !this.#definitions.has(name)) {
      throw unknownJob(name, this.#definitions.keys());
    }
    return buildJob(name, definition, input, options, machinery.store.maxPayloadBytes);
  }

  /** A record under another id is the one that held the unique key: nothing was enqueued. */
  #enqueued(asked: NewJob, record: JobRecord): Job {
    const job = toJob(record);
    if (record.id === asked.id && this.#lifecycle.wants("onJobEnqueued")) {
      this.#lifecycle.emit("onJobEnqueued", job, {});
    }
    return job;
  }

  #onCancelled(record: JobRecord): void {
    this.#machinery?.worker?.cancel(record.id);
    this.#machinery?.results.notify(record);
  }
}

function stopped(verb: string): DispatchError {
  return new DispatchError("stopped", `Cannot ${verb} the engine: it has stopped`);
}
