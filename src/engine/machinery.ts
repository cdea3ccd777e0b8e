/** The part of an engine that exists between start and stop: one store, and what works on it. */

import { endsWithin } from "../core/clock.ts";
import { DispatchError } from "../core/errors.ts";
import { newId } from "../core/id.ts";
import type { JobRecord, NewJob } from "../core/job.ts";
import type { Store, StoreTransactions } from "../store/store.ts";
import type { Ambient } from "../workflow/host.ts";
import { createBatcher } from "./batcher.ts";
import { Claimer } from "./claimer.ts";
import type { Definitions } from "./definitions.ts";
import type { Engine } from "./engine.ts";
import { buildJob } from "./enqueue.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Herald } from "./herald.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { Maintenance } from "./maintenance.ts";
import type { EngineSettings } from "./options.ts";
import { Results } from "./results.ts";
import { RunSupport } from "./run_support.ts";
import { type Ended, type Settled, Settler } from "./settler.ts";
import { Worker } from "./worker.ts";

/** Concurrent enqueues share a write of at most so many jobs. */
const ENQUEUE_BATCH = 1000;

/** What a store has to answer in, at least, while the engine stops. */
const MIN_PATIENCE_MS = 1000;

export class Machinery {
  readonly store: Store;
  readonly results: Results;
  /** Stores one job, together with whatever else is enqueued at the moment. */
  readonly enqueue: (job: NewJob) => Promise<JobRecord>;
  /** What runs of workflows need; `null` where the store keeps none. */
  readonly runs: RunSupport | null;
  /** `null` where this process only enqueues. */
  readonly worker: Worker | null;
  readonly #settings: EngineSettings;
  readonly #herald: Herald;
  readonly #settler: Settler;
  readonly #heartbeat: Heartbeat;
  readonly #maintenance: Maintenance;
  #unwake: (() => Promise<void>) | null = null;
  #starting: Promise<void> | undefined;
  #stopping = false;

  constructor(options: {
    engine: Engine;
    store: Store;
    settings: EngineSettings;
    lifecycle: Lifecycle;
    definitions: Definitions;
    ambient: Ambient;
  }) {
    const { engine, store, settings, lifecycle, ambient } = options;
    const definitions = options.definitions.jobs;
    const { jobs, maxPayloadBytes } = store;
    const { clock, logger, leaseMs, pollMs, maxPollMs } = settings;
    this.store = store;
    this.#settings = settings;
    this.enqueue = createBatcher(
      (batch) => jobs.enqueue(batch),
      ENQUEUE_BATCH,
      (batch) => jobs.get(batch.map((job) => job.id)),
    );
    this.results = new Results({ jobs, clock, logger, pollMs, maxPollMs });
    this.#herald = new Herald({ lifecycle, clock, logger, results: this.results });
    this.runs = store.runs === undefined ? null : new RunSupport({
      store,
      logger,
      lifecycle,
      ambient,
      buildRun: (workflow, input, runOptions) => {
        const job = options.definitions.runJob(workflow);
        return buildJob(job.name, job, input, runOptions, maxPayloadBytes);
      },
    });
    this.#settler = new Settler({
      store,
      clock,
      logger,
      onSettled: (ended, status) => this.#onSettled(ended, status),
    });
    this.#heartbeat = new Heartbeat({
      jobs,
      clock,
      logger,
      leaseMs,
      intervalMs: settings.heartbeatMs,
      claims: () => [...this.worker?.claims() ?? [], ...this.#settler.claims()],
      onStatus: (lease, status) =>
        status === "lost" ? this.worker?.lost(lease) : this.worker?.cancel(lease.jobId),
    });
    this.#maintenance = new Maintenance({
      store,
      clock,
      logger,
      rescueMs: settings.heartbeatMs,
      retention: settings.retention,
      names: () => [...definitions.keys()],
      mayRescue: () => this.#heartbeat.isFresh(),
      onRescued: (job) => this.#herald.rescued(job),
      afterRescue: () => void this.worker?.claimSuspect(),
    });
    this.worker = settings.concurrency === 0 ? null : new Worker({
      ...settings,
      definitions,
      claimer: new Claimer({
        id: newId("wkr"),
        jobs,
        queues: settings.queues,
        definitions,
        leaseMs,
        pollMs,
        maxPollMs,
        logger,
      }),
      rules: {
        middleware: settings.middleware,
        backoff: settings.backoff,
        maxPayloadBytes,
        clock,
        logger,
        runs: this.runs,
      },
      settler: this.#settler,
      host: {
        engine,
        clock,
        maxPayloadBytes,
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
    throw new DispatchError(
      "invalid_option",
      `Cannot use a transaction: the ${name} store has none`,
      {
        hint: "Leave tx out, or use a store in a database.",
      },
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
    this.results.stop();
  }

  async #start(): Promise<void> {
    for (const [name, limits] of this.#settings.queueLimits) {
      await this.store.queues.configure(name, limits);
    }
    if (this.worker === null || this.#stopping) return;
    this.#unwake = await this.store.onWake?.((queue) => {
      this.worker?.wake(queue);
      this.runs?.hint(queue);
    }) ?? null;
    if (this.#stopping) return this.#unwake?.();
    this.#heartbeat.start();
    await this.#maintenance.start();
    if (!this.#stopping) this.worker.start();
  }

  #onSettled({ claim, outcome }: Ended, status: Settled): void {
    this.worker?.settled();
    this.#herald.settled(claim, outcome, status);
  }
}
