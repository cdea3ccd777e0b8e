/** The part of an engine that exists between start and stop: one store, and what works on it. */

import { endsWithin } from "../core/clock.ts";
import { invalidOption, messageOf } from "../core/errors.ts";
import { newId } from "../core/id.ts";
import type { JobRecord, NewJob } from "../core/job.ts";
import type { Store, StoreTransactions } from "../store/store.ts";
import type { Ambient } from "../workflow/host.ts";
import { createBatcher } from "./batcher.ts";
import { Claimer } from "./claimer.ts";
import type { Definitions } from "./definitions.ts";
import type { Engine } from "./engine.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Herald } from "./herald.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { Maintenance } from "./maintenance.ts";
import { lazyResults } from "./on_demand.ts";
import type { EngineSettings } from "./options.ts";
import type { Results } from "./results.ts";
import { Settler } from "./settler.ts";
import { Worker } from "./worker.ts";
import { gateToWorkflows, requireRuns, type Workflows } from "./workflows.ts";

/** Concurrent enqueues share a write of at most so many jobs. */
const ENQUEUE_BATCH = 1000;

/** What a store has to answer in, at least, while the engine stops. */
const MIN_PATIENCE_MS = 1000;

export class Machinery {
  readonly store: Store;
  /** Those who wait for jobs to end; null until somebody does. */
  results: Results | null = null;
  /** Loads what they need, when the first of them comes. */
  readonly waiting: () => Promise<Results>;
  /** Stores one job, together with whatever else is enqueued at the moment. */
  readonly enqueue: (job: NewJob) => Promise<JobRecord>;
  /** What runs of workflows need. */
  readonly workflows: Workflows;
  /** Told of the store's hints beside the worker: slices whose steps wait for what others do. */
  readonly lookers = new Set<(queue: string) => void>();
  /** `null` where this process only enqueues. */
  readonly worker: Worker | null;
  readonly #settings: EngineSettings;
  readonly #definitions: Definitions;
  readonly #herald: Herald;
  readonly #settler: Settler;
  readonly #heartbeat: Heartbeat;
  readonly #maintenance: Maintenance;
  #unwake: (() => Promise<void>) | null = null;
  #starting: Promise<void> | undefined;
  #stopping = false;
  #stopped = false;

  constructor(options: {
    engine: Engine;
    store: Store;
    settings: EngineSettings;
    lifecycle: Lifecycle;
    definitions: Definitions;
    ambient?: Ambient;
  }) {
    const { engine, store, settings, lifecycle } = options;
    const { jobs, maxPayloadBytes } = store;
    const definitions = options.definitions.jobs;
    const common = { ...settings, store, jobs, maxPayloadBytes, definitions, lifecycle };
    this.store = store;
    this.#settings = settings;
    this.#definitions = options.definitions;
    this.enqueue = createBatcher(
      (batch, again) => jobs.enqueue(batch, !again),
      ENQUEUE_BATCH,
      (batch) => jobs.get(batch.map((job) => job.id)),
    );
    this.waiting = lazyResults(common, (results) => {
      this.results = results;
      if (this.#stopped) results.stop();
    });
    this.#herald = new Herald({ ...common, results: () => this.results });
    this.workflows = gateToWorkflows({ ...options, machinery: this, logger: settings.logger });
    this.#settler = new Settler({
      ...common,
      onSettled: ({ claim, outcome }, status) => this.#herald.settled(claim, outcome, status),
      onRoom: () => this.worker?.settled(),
    });
    this.#heartbeat = new Heartbeat({
      ...common,
      intervalMs: settings.heartbeatMs,
      claims: () => [...this.worker?.claims() ?? [], ...this.#settler.claims()],
      onStatus: (lease, status) =>
        status === "lost" ? this.worker?.lost(lease) : this.worker?.cancel(lease.jobId),
    });
    this.#maintenance = new Maintenance({
      ...common,
      rescueMs: settings.heartbeatMs,
      names: () => [...definitions.keys()],
      mayRescue: () => this.#heartbeat.isFresh(),
      onRescued: (job) => this.#herald.rescued(job),
      afterRescue: () => void this.worker?.claimSuspect(),
    });
    this.worker = settings.concurrency === 0 ? null : new Worker({
      ...common,
      claimer: new Claimer({ ...common, id: newId("wkr") }),
      rules: { ...common, workflows: this.workflows },
      settler: this.#settler,
      host: {
        ...common,
        engine,
        report: (lease, progress) => this.#heartbeat.report(lease, progress),
        complete: (lease, work) => this.transactions().complete(lease, work),
      },
      onStarted: (execution) => this.#herald.started(execution),
      onCommitted: (claim, outcome) => this.#herald.written(claim, outcome),
    });
  }

  /**
   * The store's transactions.
   *
   * @throws {DispatchError} `invalid_option` where it has none
   */
  transactions(): StoreTransactions {
    const { name, transactions } = this.store;
    if (transactions !== undefined) return transactions;
    throw invalidOption(
      `Cannot use a transaction: the ${name} store has none`,
      "Leave tx out, or use a store in a database.",
    );
  }

  /** Somebody has cancelled a job. */
  cancelled(job: JobRecord): void {
    this.worker?.cancel(job.id);
    this.results?.notify(job);
  }

  /**
   * A workflow is registered: what its runs need is loaded, so that none has to wait for it.
   *
   * @throws {DispatchError} `workflows_not_supported`
   */
  expectRuns(): void {
    requireRuns(this.store);
    this.workflows().catch((thrown) =>
      this.#settings.logger.error("runs of a workflow cannot be run", { error: messageOf(thrown) })
    );
  }

  start(): Promise<void> {
    return this.#starting = this.#start();
  }

  /**
   * Resolves when every outcome is written. A store that does not answer holds it up for two times
   * `shutdownTimeout` at most.
   */
  async stop(): Promise<void> {
    this.#stopping = true;
    const { clock, logger, shutdownMs } = this.#settings;
    const patience = Math.max(MIN_PATIENCE_MS, shutdownMs);
    const ends = (work: Promise<unknown> | undefined) => endsWithin(clock, patience, work);
    const rest = ends(
      Promise.allSettled([this.#starting, this.#unwake?.(), this.#maintenance.stop()]),
    );
    await this.worker?.stop();
    await ends(this.#settler.idle());
    const unwritten = this.#settler.close();
    if (unwritten > 0) {
      logger.error("stopped with outcomes that the store did not take: those jobs will run again", {
        jobs: unwritten,
      });
    }
    await Promise.all([rest, endsWithin(clock, MIN_PATIENCE_MS, this.#heartbeat.stop())]);
    this.#stopped = true;
    this.results?.stop();
  }

  async #start(): Promise<void> {
    if (this.#definitions.workflowNames.length > 0) await this.workflows();
    for (const [name, limits] of this.#settings.queueLimits) {
      await this.store.queues.configure(name, limits);
    }
    if (this.worker === null || this.#stopping) return;
    this.#unwake = await this.store.onWake?.((queue) => {
      this.worker?.wake(queue);
      for (const look of this.lookers) look(queue);
    }) ?? null;
    if (this.#stopping) return this.#unwake?.();
    this.#heartbeat.start();
    this.worker.start();
    await this.#maintenance.start();
  }
}
