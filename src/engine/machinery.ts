/**
 * The part of an engine that exists between start and stop: one store, and what works on it. What
 * becomes of each settlement is told here to the log, to hooks and to those who wait for results.
 */

import { endsWithin } from "../core/clock.ts";
import { DispatchError } from "../core/errors.ts";
import { newId, withPrefix } from "../core/id.ts";
import { type JobRecord, type NewJob, toJob } from "../core/job.ts";
import type { ClaimedJob } from "../core/lease.ts";
import type { Outcome } from "../core/outcome.ts";
import type { Store, StoreTransactions } from "../store/store.ts";
import { createBatcher } from "./batcher.ts";
import { Claimer } from "./claimer.ts";
import type { AnyJobDefinition } from "./definition.ts";
import type { Engine } from "./engine.ts";
import { Execution } from "./execution.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { Maintenance } from "./maintenance.ts";
import type { EngineSettings } from "./options.ts";
import { Results } from "./results.ts";
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
  /** `null` where this process only enqueues. */
  readonly worker: Worker | null;
  readonly #settings: EngineSettings;
  readonly #lifecycle: Lifecycle;
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
    definitions: ReadonlyMap<string, AnyJobDefinition>;
  }) {
    const { engine, store, settings, lifecycle, definitions } = options;
    const { jobs, maxPayloadBytes } = store;
    const { clock, logger, leaseMs, pollMs, maxPollMs } = settings;
    this.store = store;
    this.#settings = settings;
    this.#lifecycle = lifecycle;
    this.enqueue = createBatcher(
      (batch) => jobs.enqueue(batch),
      ENQUEUE_BATCH,
      (batch) => jobs.get(batch.map((job) => job.id)),
    );
    this.results = new Results({ jobs, clock, logger, pollMs, maxPollMs });
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
      mayRescue: () => this.#heartbeat.isFresh(),
      onRescued: (job) => this.#onRescued(job),
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
      rules: { middleware: settings.middleware, backoff: settings.backoff, maxPayloadBytes },
      settler: this.#settler,
      host: {
        engine,
        clock,
        maxPayloadBytes,
        report: (lease, progress) => this.#heartbeat.report(lease, progress),
        complete: (lease, work) => this.transactions().complete(lease, work),
      },
      onStarted: (execution) => this.#emitStarted(execution),
      onCommitted: (claim, outcome) => this.#onWritten(claim, outcome),
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
    this.#unwake = await this.store.onWake?.((queue) => this.worker?.wake(queue)) ?? null;
    if (this.#stopping) return this.#unwake?.();
    this.#heartbeat.start();
    await this.#maintenance.start();
    if (!this.#stopping) this.worker.start();
  }

  #onSettled({ claim, outcome }: Ended, status: Settled): void {
    this.worker?.settled();
    const { job } = claim;
    if (status === "settled") return this.#onWritten(claim, outcome);
    if (status === "lost") {
      this.#settings.logger.warn("an outcome came too late: the lease was lost", {
        job: job.id,
        name: job.name,
        outcome: outcome.kind,
      });
    }
    if (status === "cancelled") this.#cancelled(job, "The job was cancelled while it ran");
  }

  #onWritten(claim: ClaimedJob, outcome: Outcome): void {
    const { job } = claim;
    const now = this.#settings.clock.now();
    switch (outcome.kind) {
      case "complete":
        if (this.results.empty && !this.#lifecycle.wants("onJobCompleted")) return;
        return this.#completed(
          {
            ...job,
            state: "completed",
            result: outcome.result,
            failure: null,
            completedAt: now,
            updatedAt: now,
          },
          claim,
        );
      case "retry":
        return this.#retrying({
          ...job,
          state: "retrying",
          failure: outcome.failure,
          retryCount: job.retryCount + 1,
          runAt: now + outcome.delayMs,
          updatedAt: now,
        });
      case "dead":
        return this.#died(
          { ...job, state: "failed", failure: outcome.failure, completedAt: now, updatedAt: now },
          claim instanceof Execution ? now - claim.startedAt : 0,
        );
      case "cancel":
        return this.#cancelled(job, outcome.reason);
      case "release":
        return;
    }
  }

  #cancelled(job: JobRecord, message: string): void {
    this.results.notify({ ...job, state: "cancelled", failure: { code: "cancelled", message } });
  }

  #completed(job: JobRecord, claim: object): void {
    this.results.notify(job);
    if (!this.#lifecycle.wants("onJobCompleted")) return;
    const durationMs = claim instanceof Execution ? job.completedAt! - claim.startedAt : 0;
    this.#lifecycle.emit("onJobCompleted", toJob(job), { durationMs });
  }

  #retrying(job: JobRecord): void {
    const error = job.failure!.message;
    this.#settings.logger.warn("an attempt failed and will be retried", {
      job: job.id,
      name: job.name,
      failures: `${job.retryCount} of ${job.maxRetries + 1}`,
      code: job.failure!.code,
      error,
    });
    if (!this.#lifecycle.wants("onJobRetrying")) return;
    this.#lifecycle.emit("onJobRetrying", toJob(job), { error, nextRunAt: new Date(job.runAt) });
  }

  #died(record: JobRecord, durationMs: number): void {
    const { code, message: error } = record.failure!;
    this.#settings.logger.error("a job failed for good and is in the dead letters", {
      job: record.id,
      name: record.name,
      code,
      error,
    });
    this.results.notify(record);
    if (!this.#lifecycle.wants("onJobFailed") && !this.#lifecycle.wants("onJobDlq")) return;
    const job = toJob(record);
    this.#lifecycle.emit("onJobFailed", job, { error, durationMs });
    this.#lifecycle.emit("onJobDlq", job, { error, letterId: withPrefix("dlq", job.id) });
  }

  #onRescued(job: JobRecord): void {
    if (job.state === "failed") this.#died(job, 0);
    else this.results.notify(job);
  }

  #emitStarted(execution: Execution): void {
    if (this.#lifecycle.wants("onJobStarted")) {
      this.#lifecycle.emit("onJobStarted", toJob(execution.job), {});
    }
  }
}
