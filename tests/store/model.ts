/**
 * A store that is as simple as can be, and obviously right: one list of jobs, searched from end to
 * end. It says what the store under test must answer.
 */

import { deadLetterOf, type DeadLetterRecord } from "../../src/core/dead_letter.ts";
import type { ErrorCode } from "../../src/core/errors.ts";
import { type JobCounts, type JobRecord, type NewJob, noJobs } from "../../src/core/job.ts";
import { withPrefix } from "../../src/core/id.ts";
import type { Lease, LeaseStatus } from "../../src/core/lease.ts";
import { CRASH_LOOP, type Failure, isSuspect, MAX_CRASHES } from "../../src/core/outcome.ts";
import type {
  ClaimRequest,
  LeaseExtension,
  RetentionAges,
  Settlement,
  SettleStatus,
} from "../../src/store/store.ts";

type Mutable<Record> = { -readonly [Key in keyof Record]: Record[Key] };
type ModelJob = Mutable<JobRecord>;
/** What a verb answers: the job, or why not. */
export type Answer = JobRecord | ErrorCode;

export class Model {
  now: number;
  jobs: ModelJob[] = [];
  readonly letters = new Map<string, Mutable<DeadLetterRecord>>();
  readonly paused = new Set<string>();
  readonly concurrency = new Map<string, number>();
  /** The lease that holds each running job, and when it runs out. */
  readonly held = new Map<string, { lease: Lease; until: number }>();

  constructor(now: number) {
    this.now = now;
  }

  find(id: string): ModelJob | undefined {
    return this.jobs.find((job) => job.id === id);
  }

  counts(ofQueue?: string): JobCounts {
    const counts = noJobs();
    for (const { state, queue } of this.jobs) {
      if (ofQueue === undefined || queue === ofQueue) counts[state]++;
    }
    return counts;
  }

  /** How many more jobs of a queue may run. */
  free(queue: string): number {
    if (this.paused.has(queue)) return 0;
    return (this.concurrency.get(queue) ?? Infinity) - this.counts(queue).running;
  }

  /** When the next job is due that is no suspect, of any name. */
  nextDue(queues: readonly string[]): number | null {
    const moments = this.jobs
      .filter((job) => isWaiting(job) && !isSuspect(job))
      .filter(({ queue }) => queues.includes(queue) && this.free(queue) > 0)
      .map((job) => Math.max(0, job.runAt - this.now));
    return moments.length === 0 ? null : Math.min(...moments);
  }

  /** The unfinished jobs that hold a unique key: at most one. */
  holders(name: string, key: string | null): ModelJob[] {
    return this.jobs.filter((job) =>
      key !== null && job.name === name && job.uniqueKey === key && !isFinished(job)
    );
  }

  enqueue(added: readonly NewJob[]): JobRecord[] {
    return added.map((job) => {
      const [holder] = this.holders(job.name, job.uniqueKey);
      if (holder !== undefined) return { ...holder };
      const record = newRecord(job, this.now);
      this.jobs.push(record);
      return { ...record };
    });
  }

  /** Which jobs a claim must return, in order. They are running from then on. */
  claim({ workerId, queues, names, limit, suspects }: ClaimRequest): ModelJob[] {
    const claimed: ModelJob[] = [];
    for (const queue of queues) {
      const ready = this.jobs.filter((job) =>
        isWaiting(job) && job.runAt <= this.now && job.queue === queue &&
        names.includes(job.name) && isSuspect(job) === suspects
      );
      ready.sort((a, b) => b.priority - a.priority || a.runAt - b.runAt || (a.id < b.id ? -1 : 1));
      claimed.push(
        ...ready.slice(0, Math.max(0, Math.min(this.free(queue), limit - claimed.length))),
      );
    }
    for (const job of claimed) {
      Object.assign(job, { state: "running", workerId, updatedAt: this.now });
      Object.assign(job, { startedAt: this.now, heartbeatAt: this.now, attempt: job.attempt + 1 });
    }
    return claimed;
  }

  settle({ lease, outcome }: Settlement): SettleStatus {
    const job = this.#holding(lease);
    if (job === null) return "lost";
    if (job.cancelRequested && outcome.kind !== "complete") {
      if ("failure" in outcome) job.failure = outcome.failure;
      if (outcome.kind === "cancel") job.failure = cancelled(outcome.reason);
      this.#finish(job, "cancelled");
      return outcome.kind === "cancel" ? "settled" : "cancelled";
    }
    switch (outcome.kind) {
      case "complete":
        Object.assign(job, { result: outcome.result, failure: null });
        this.#finish(job, "completed");
        break;
      case "retry":
        Object.assign(job, { failure: outcome.failure, retryCount: job.retryCount + 1 });
        this.#wait(job, this.now + outcome.delayMs);
        break;
      case "release":
        job.attempt--;
        this.#wait(job, this.now + outcome.delayMs);
        break;
      case "dead":
        this.#die(job, outcome.failure);
        break;
      case "cancel":
        job.failure = cancelled(outcome.reason);
        this.#finish(job, "cancelled");
    }
    return "settled";
  }

  extend({ lease, progress }: LeaseExtension, leaseMs: number): LeaseStatus {
    const job = this.#holding(lease);
    if (job === null) return "lost";
    this.held.set(job.id, { lease, until: this.now + leaseMs });
    job.heartbeatAt = this.now;
    if (progress !== undefined) Object.assign(job, { progress, updatedAt: this.now });
    return job.cancelRequested ? "cancelling" : "held";
  }

  expired(): string[] {
    return [...this.held].filter(([, { until }]) => until <= this.now).map(([id]) => id);
  }

  rescue(id: string): JobRecord {
    const job = this.find(id)!;
    job.crashes++;
    if (job.cancelRequested) this.#finish(job, "cancelled");
    else if (job.crashes === MAX_CRASHES) this.#die(job, CRASH_LOOP);
    else this.#wait(job, this.now);
    return { ...job };
  }

  cancel(id: string): Answer {
    const job = this.find(id);
    if (job === undefined) return "not_found";
    if (isFinished(job)) return "wrong_state";
    if (isWaiting(job)) this.#finish(job, "cancelled");
    else Object.assign(job, { cancelRequested: true, updatedAt: this.now });
    return { ...job };
  }

  retry(id: string): Answer {
    const job = this.find(id);
    if (job === undefined) return "not_found";
    if (!["failed", "cancelled", "retrying"].includes(job.state)) return "wrong_state";
    if (this.holders(job.name, job.uniqueKey).some((holder) => holder !== job)) {
      return "unique_conflict";
    }
    Object.assign(job, { retryCount: 0, crashes: 0, failure: null, completedAt: null });
    this.#wait(job, this.now);
    const letter = this.letters.get(withPrefix("dlq", id));
    if (letter !== undefined) letter.replayedAt ??= this.now;
    return { ...job };
  }

  remove(id: string): ErrorCode | undefined {
    const job = this.find(id);
    if (job === undefined) return "not_found";
    if (job.state === "running") return "wrong_state";
    this.jobs = this.jobs.filter((other) => other !== job);
  }

  replay(id: string, jobId: string): Answer {
    const letter = this.letters.get(id);
    if (letter === undefined) return "not_found";
    if (letter.replayedAt !== null) return "wrong_state";
    if (this.holders(letter.jobName, letter.uniqueKey).length > 0) return "unique_conflict";
    letter.replayedAt = this.now;
    const job = { ...letter, id: jobId, name: letter.jobName, runAt: this.now, delayMs: 0 };
    return this.enqueue([job])[0];
  }

  prune(ages: RetentionAges): number {
    const old = this.jobs.filter((job) => {
      const age = ages[job.state as keyof RetentionAges] ?? null;
      return isFinished(job) && age !== null && job.completedAt! < this.now - age;
    });
    this.jobs = this.jobs.filter((job) => !old.includes(job));
    return old.length;
  }

  #holding(lease: Lease): ModelJob | null {
    return this.held.get(lease.jobId)?.lease === lease ? this.find(lease.jobId)! : null;
  }

  #wait(job: ModelJob, runAt: number): void {
    this.held.delete(job.id);
    const state = job.retryCount > 0 ? "retrying" : "pending";
    Object.assign(job, { state, runAt, updatedAt: this.now });
  }

  #finish(job: ModelJob, state: "completed" | "failed" | "cancelled"): void {
    this.held.delete(job.id);
    Object.assign(job, { state, cancelRequested: false });
    Object.assign(job, { completedAt: this.now, updatedAt: this.now });
  }

  #die(job: ModelJob, failure: Failure): void {
    job.failure = failure;
    this.#finish(job, "failed");
    const letter = deadLetterOf(job, failure, this.now);
    this.letters.set(letter.id, letter);
  }
}

function isWaiting({ state }: JobRecord): boolean {
  return state === "pending" || state === "retrying";
}

export function isFinished({ state }: JobRecord): boolean {
  return state === "completed" || state === "failed" || state === "cancelled";
}

function cancelled(message: string): Failure {
  return { code: "cancelled", message };
}

function newRecord(job: NewJob, now: number): ModelJob {
  const { id, name, queue, priority, payload, maxRetries, timeoutMs, uniqueKey, tags, scope } = job;
  return {
    ...{ id, name, queue, priority, payload, maxRetries, timeoutMs, uniqueKey, tags, scope },
    ...{ state: "pending", runAt: job.runAt ?? now + job.delayMs, attempt: 0, retryCount: 0 },
    ...{ crashes: 0, failure: null, result: null, progress: null, cancelRequested: false },
    ...{ workerId: null, createdAt: now, updatedAt: now },
    ...{ startedAt: null, completedAt: null, heartbeatAt: null },
  };
}
