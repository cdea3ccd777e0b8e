import type { Clock } from "../core/clock.ts";
import { withPrefix } from "../core/id.ts";
import { type JobRecord, toJob } from "../core/job.ts";
import type { ClaimedJob } from "../core/lease.ts";
import type { Logger } from "../core/logger.ts";
import type { Outcome } from "../core/outcome.ts";
import { isRunName } from "../core/run.ts";
import { CANCELLED, Execution } from "./execution.ts";
import { type Lifecycle, runInfo } from "./lifecycle.ts";
import type { Results } from "./results.ts";
import type { Settled } from "./settler.ts";

/** Whom a herald tells. */
export interface HeraldOptions {
  readonly lifecycle: Lifecycle;
  readonly clock: Clock;
  readonly logger: Logger;
  /** `null` while nobody waits for any. */
  readonly results: () => Results | null;
}

/**
 * Tells what has become of attempts: the log, hooks, and those who wait for results. Of runs it tells
 * the hooks of workflows, when a run ends.
 */
export class Herald {
  readonly #lifecycle: Lifecycle;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #results: () => Results | null;

  constructor({ lifecycle, clock, logger, results }: HeraldOptions) {
    this.#lifecycle = lifecycle;
    this.#clock = clock;
    this.#logger = logger;
    this.#results = results;
  }

  /** A settlement has been answered. */
  settled(claim: ClaimedJob, outcome: Outcome, status: Settled): void {
    const { job } = claim;
    if (status === "settled") return this.written(claim, outcome);
    if (status === "lost" && outcome.kind !== "release") { // who gives back has nothing to lose
      this.#logger.warn("an outcome came too late: the lease was lost", {
        job: job.id,
        name: job.name,
        outcome: outcome.kind,
      });
    }
    if (status === "cancelled") this.#cancelled(job, CANCELLED);
  }

  /** An outcome is written. */
  written(claim: ClaimedJob, outcome: Outcome): void {
    const { job } = claim;
    const now = this.#clock.now();
    switch (outcome.kind) {
      case "complete":
        if (
          (this.#results()?.empty ?? true) && !this.#lifecycle.wants("onJobCompleted") &&
          !isRunName(job.name)
        ) {
          return;
        }
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
      case "park":
      case "compensate":
        return;
    }
  }

  #cancelled(job: JobRecord, message: string): void {
    this.#results()?.notify({
      ...job,
      state: "cancelled",
      failure: { code: "cancelled", message },
    });
  }

  #completed(job: JobRecord, claim: object): void {
    this.#results()?.notify(job);
    if (isRunName(job.name)) {
      const durationMs = job.completedAt! - job.createdAt;
      return this.#lifecycle.tell("onWorkflowCompleted", runInfo(job), { durationMs });
    }
    if (!this.#lifecycle.wants("onJobCompleted")) return;
    const durationMs = claim instanceof Execution ? job.completedAt! - claim.startedAt : 0;
    this.#lifecycle.emit("onJobCompleted", toJob(job), { durationMs });
  }

  #retrying(job: JobRecord): void {
    const error = job.failure!.message;
    this.#logger.warn("an attempt failed and will be retried", {
      job: job.id,
      name: job.name,
      failures: `${job.retryCount} of ${job.maxRetries + 1}`,
      code: job.failure!.code,
      error,
    });
    if (!this.#lifecycle.wants("onJobRetrying") || isRunName(job.name)) return;
    this.#lifecycle.emit("onJobRetrying", toJob(job), { error, nextRunAt: new Date(job.runAt) });
  }

  #died(record: JobRecord, durationMs: number): void {
    const { code, message: error } = record.failure!;
    this.#logger.error("a job failed for good and is in the dead letters", {
      job: record.id,
      name: record.name,
      code,
      error,
    });
    this.#results()?.notify(record);
    const isRun = isRunName(record.name);
    if (isRun) this.#lifecycle.tell("onWorkflowFailed", runInfo(record), { error });
    if (!this.#lifecycle.wants("onJobFailed") && !this.#lifecycle.wants("onJobDlq")) return;
    const job = toJob(record);
    if (!isRun) this.#lifecycle.emit("onJobFailed", job, { error, durationMs });
    this.#lifecycle.emit("onJobDlq", job, { error, letterId: withPrefix("dlq", job.id) });
  }

  /** A job was taken back from a dead worker. */
  rescued(job: JobRecord): void {
    if (job.state === "failed") this.#died(job, 0);
    else this.#results()?.notify(job);
  }

  /** An attempt begins. */
  started(execution: Execution): void {
    if (this.#lifecycle.wants("onJobStarted") && !isRunName(execution.name)) {
      this.#lifecycle.emit("onJobStarted", toJob(execution.job), {});
    }
  }
}
