import type { EpochMs } from "../../core/clock.ts";
import { type JobCounts, type JobRecord, type NewJob, newRecord } from "../../core/job.ts";
import type { ClaimedJob, LeaseStatus } from "../../core/lease.ts";
import type {
  ClaimRequest,
  JobStore,
  LeaseExtension,
  RetentionAges,
  Settlement,
  SettleStatus,
} from "../store.ts";
import { copyJob, type QueueEntry } from "./entry.ts";
import { isRunName } from "../../core/run.ts";
import type { ReadyQueue } from "./ready_queue.ts";
import { rescueEntry, settleEntry } from "./settle.ts";
import type { MemoryState } from "./state.ts";
import type { MemoryVerbs } from "./verbs.ts";

/**
 * The jobs of a memory store, as workers know them. Every method finishes in one turn, so each call is
 * atomic.
 */
export class MemoryJobs implements Omit<JobStore, keyof MemoryVerbs> {
  readonly #state: MemoryState;
  readonly #loadRuns: () => Promise<unknown>;

  constructor(state: MemoryState, loadRuns: () => Promise<unknown>) {
    this.#state = state;
    this.#loadRuns = loadRuns;
  }

  async enqueue(jobs: readonly NewJob[]): Promise<JobRecord[]> {
    const state = this.#state;
    if (state.runs === null && jobs.some(({ name }) => isRunName(name))) await this.#loadRuns();
    const now = state.clock.now();
    const records = new Array<JobRecord>(jobs.length);
    const queues = new Set<string>();
    for (let i = 0; i < jobs.length; i++) {
      const { id, name, uniqueKey } = jobs[i];
      const entry = state.jobs.get(id) ?? state.holder(name, uniqueKey) ??
        state.add(newRecord(jobs[i], now), now);
      queues.add(entry.job.queue);
      records[i] = copyJob(entry);
    }
    for (const queue of queues) state.wake(queue);
    return records;
  }

  // deno-lint-ignore require-await -- async turns a throw into a rejection
  async claim(request: ClaimRequest): Promise<ClaimedJob[]> {
    const state = this.#state;
    const now = state.clock.now();
    const claimed: ClaimedJob[] = [];
    for (const name of request.queues) {
      const queue = state.queues.get(name);
      if (queue === undefined || queue.paused) continue;
      const free = queue.concurrency === null ? Infinity : queue.concurrency - queue.counts.running;
      const end = Math.min(request.limit, claimed.length + free);
      if (claimed.length >= end) continue;
      const lines = linesOf(queue, request.names, request.suspects, now);
      while (claimed.length < end) {
        const line = firstOf(lines, now);
        if (line === null) break;
        const entry = line.pop();
        state.lease(entry, request.workerId, request.leaseMs, now);
        claimed.push({ job: copyJob(entry), lease: { jobId: entry.job.id, token: entry.token } });
      }
    }
    return claimed;
  }

  // deno-lint-ignore require-await
  async nextDue(queues: readonly string[], names: readonly string[]): Promise<number | null> {
    const now = this.#state.clock.now();
    let next: EpochMs | null = null;
    for (const name of queues) {
      const queue = this.#state.queues.get(name);
      if (queue === undefined || queue.paused) continue;
      if (queue.concurrency !== null && queue.counts.running >= queue.concurrency) continue;
      for (const jobName of names) {
        const due = queue.lines.get(jobName)?.normal.nextDue(now) ?? null;
        if (due !== null && (next === null || due < next)) next = due;
      }
    }
    return next === null ? null : Math.max(0, next - now);
  }

  // deno-lint-ignore require-await
  async extend(extensions: readonly LeaseExtension[], leaseMs: number): Promise<LeaseStatus[]> {
    const now = this.#state.clock.now();
    return extensions.map(({ lease, progress }) => {
      const entry = this.#state.held(lease);
      if (entry === null) return "lost";
      entry.leaseUntil = now + leaseMs;
      entry.job.heartbeatAt = now;
      if (progress !== undefined) {
        entry.job.progress = progress;
        entry.job.updatedAt = now;
      }
      return entry.job.cancelRequested ? "cancelling" : "held";
    });
  }

  // deno-lint-ignore require-await
  async settle(settlements: readonly Settlement[]): Promise<SettleStatus[]> {
    const now = this.#state.clock.now();
    const results = new Array<SettleStatus>(settlements.length);
    for (let i = 0; i < settlements.length; i++) {
      const { lease, outcome } = settlements[i];
      const entry = this.#state.held(lease);
      results[i] = entry === null ? "lost" : settleEntry(this.#state, entry, outcome, now);
    }
    return results;
  }

  // deno-lint-ignore require-await
  async rescue(limit: number): Promise<JobRecord[]> {
    const now = this.#state.clock.now();
    const rescued: JobRecord[] = [];
    for (const entry of this.#state.running) {
      if (rescued.length >= limit) break;
      if (entry.leaseUntil > now) continue;
      rescueEntry(this.#state, entry, now);
      rescued.push(copyJob(entry));
    }
    return rescued;
  }

  // deno-lint-ignore require-await
  async get(ids: readonly string[]): Promise<(JobRecord | null)[]> {
    return ids.map((id) => {
      const entry = this.#state.jobs.get(id);
      return entry === undefined ? null : copyJob(entry);
    });
  }

  // deno-lint-ignore require-await
  async counts(): Promise<JobCounts> {
    return { ...this.#state.counts };
  }

  // deno-lint-ignore require-await
  async prune(ages: RetentionAges, limit: number): Promise<number> {
    const now = this.#state.clock.now();
    let pruned = 0;
    for (const state of ["completed", "failed", "cancelled"] as const) {
      const age = ages[state];
      if (age !== null) pruned += this.#state.prune(state, now - age, limit - pruned);
    }
    return pruned;
  }
}

/** The lines of a queue that a claim draws from; a queue has few names, mostly one. */
function linesOf(
  queue: QueueEntry,
  names: readonly string[],
  suspects: boolean,
  now: EpochMs,
): ReadyQueue[] {
  const lines: ReadyQueue[] = [];
  for (const name of names) {
    const both = queue.lines.get(name);
    const line = suspects ? both?.suspects : both?.normal;
    if (line !== undefined && line.peek(now) !== null) lines.push(line);
  }
  return lines;
}

/** The line whose first job comes before those of the others. */
function firstOf(lines: readonly ReadyQueue[], now: EpochMs): ReadyQueue | null {
  if (lines.length === 1) return lines[0].peek(now) === null ? null : lines[0];
  let best: ReadyQueue | null = null;
  let bestJob: JobRecord | null = null;
  for (const line of lines) {
    const job = line.peek(now)?.entry?.job;
    if (job !== undefined && (bestJob === null || comesBefore(job, bestJob))) {
      best = line;
      bestJob = job;
    }
  }
  return best;
}

function comesBefore(a: JobRecord, b: JobRecord): boolean {
  if (a.priority !== b.priority) return a.priority > b.priority;
  return a.runAt !== b.runAt ? a.runAt < b.runAt : a.id < b.id;
}
