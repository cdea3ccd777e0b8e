/**
 * What the memory store holds, and the four moves that every transition is made of: a job waits,
 * is leased, finishes, goes. Each keeps all indexes and counts right, so that the files beside this
 * one only say when a move is made.
 */

import type { Clock, EpochMs } from "../../core/clock.ts";
import { deadLetterOf, type DeadLetterRecord } from "../../core/dead_letter.ts";
import { Fifo } from "../../core/fifo.ts";
import { type JobRecord, type JobState, noJobs } from "../../core/job.ts";
import type { Lease } from "../../core/lease.ts";
import { type Failure, isSuspect } from "../../core/outcome.ts";
import { keyholderName } from "../../core/run.ts";
import {
  type Entry,
  type Finished,
  isFinished,
  isWaiting,
  type Mutable,
  type QueueEntry,
} from "./entry.ts";
import { OrderedLog } from "./ordered_log.ts";
import { ReadyQueue } from "./ready_queue.ts";
import type { RunBook } from "./run_book.ts";

/** A dead letter as the store holds it. */
export interface LetterEntry {
  readonly letter: Mutable<DeadLetterRecord>;
  gone: boolean;
}

export class MemoryState {
  readonly clock: Clock;
  readonly jobs = new Map<string, Entry>();
  readonly jobLog = new OrderedLog<Entry>(
    ({ job }) => job.id,
    /^job_[0-9a-z]{26}$/,
    (entry) => entry.gone,
  );
  readonly running = new Set<Entry>();
  /** Unfinished jobs by name and unique key. */
  readonly unique = new Map<string, Entry>();
  readonly queues = new Map<string, QueueEntry>();
  readonly counts = noJobs();
  readonly letters = new Map<string, LetterEntry>();
  readonly letterLog = new OrderedLog<LetterEntry>(
    ({ letter }) => letterKey(letter),
    /^\d{16}dlq_[0-9a-z]{26}$/,
    (entry) => entry.gone,
  );
  /** What it holds of runs; null until one may be added. */
  runs: RunBook | null = null;
  readonly #wakers = new Set<(queue: string) => void>();
  readonly #maxFinished: number;
  readonly #finished = {
    completed: new Fifo<Finished>(),
    failed: new Fifo<Finished>(),
    cancelled: new Fifo<Finished>(),
  };
  #lastToken = 0;

  constructor(clock: Clock, maxFinished: number) {
    this.clock = clock;
    this.#maxFinished = maxFinished;
  }

  /** Adds a job and has it wait. */
  add(job: Mutable<JobRecord>, now: EpochMs): Entry {
    const entry: Entry = {
      job,
      queue: this.queue(job.queue),
      token: 0,
      leaseUntil: 0,
      ticket: null,
      line: null,
      finished: null,
      gone: false,
    };
    this.jobs.set(job.id, entry);
    this.jobLog.add(entry);
    this.counts[job.state]++;
    entry.queue.counts[job.state]++;
    if (job.uniqueKey !== null) this.unique.set(uniqueKey(job.name, job.uniqueKey), entry);
    this.#line(entry).push(entry, now);
    return entry;
  }

  /** The job waits until `runAt`. */
  wait(entry: Entry, runAt: EpochMs, now: EpochMs): void {
    const { job } = entry;
    this.#leave(entry);
    if (isFinished(job.state)) {
      job.completedAt = null;
      entry.finished = null;
      if (job.uniqueKey !== null) this.unique.set(uniqueKey(job.name, job.uniqueKey), entry);
    }
    job.runAt = runAt;
    this.#setState(entry, job.retryCount > 0 ? "retrying" : "pending", now);
    this.#line(entry).push(entry, now);
    this.wake(job.queue);
  }

  /** The job, which was taken out of its line, is leased. */
  lease(entry: Entry, workerId: string, leaseMs: number, now: EpochMs): void {
    const { job } = entry;
    this.#setState(entry, "running", now);
    job.workerId = workerId;
    job.startedAt = now;
    job.heartbeatAt = now;
    job.attempt++;
    entry.token = ++this.#lastToken;
    entry.leaseUntil = now + leaseMs;
    this.running.add(entry);
  }

  /** The job ends. */
  finish(entry: Entry, state: "completed" | "failed" | "cancelled", now: EpochMs): void {
    const { job, queue } = entry;
    const wasRunning = job.state === "running";
    this.#leave(entry);
    this.#setState(entry, state, now);
    job.completedAt = now;
    job.cancelRequested = false;
    if (job.uniqueKey !== null) this.unique.delete(uniqueKey(job.name, job.uniqueKey));
    this.#note(entry, state, now);
    this.runs?.ended(entry, now);
    if (this.counts[state] > this.#maxFinished) this.prune(state, Infinity, 1);
    if (wasRunning && queue.concurrency !== null) this.wake(queue.name); // a place is free
  }

  /** The job ends for good, and its dead letter is written. */
  die(entry: Entry, failure: Failure, now: EpochMs): void {
    entry.job.failure = failure;
    this.finish(entry, "failed", now);
    const letter = { letter: deadLetterOf(entry.job, failure, now), gone: false };
    this.dropLetter(letter.letter.id); // of an earlier death, before a retry
    this.letters.set(letter.letter.id, letter);
    this.letterLog.add(letter);
    if (this.letters.size > this.#maxFinished) this.dropLetter(this.letters.keys().next().value!);
  }

  /** The job is forgotten. */
  drop(entry: Entry): void {
    this.#leave(entry);
    const { job } = entry;
    if (job.uniqueKey !== null && !isFinished(job.state)) {
      this.unique.delete(uniqueKey(job.name, job.uniqueKey));
    }
    this.counts[job.state]--;
    entry.queue.counts[job.state]--;
    entry.gone = true;
    entry.finished = null;
    this.jobs.delete(job.id);
    this.jobLog.noteGone();
    this.runs?.gone(entry);
  }

  /** The letter is forgotten. True where there was one. */
  dropLetter(id: string): boolean {
    const entry = this.letters.get(id);
    if (entry === undefined) return false;
    entry.gone = true;
    this.letters.delete(id);
    this.letterLog.noteGone();
    return true;
  }

  /** Drops at most `limit` jobs that finished in this state before `before`. Returns how many. */
  prune(state: "completed" | "failed" | "cancelled", before: EpochMs, limit: number): number {
    let dropped = 0;
    const finished = this.#finished[state];
    for (
      let oldest = finished.peek();
      oldest !== undefined && dropped < limit;
      oldest = finished.peek()
    ) {
      const current = isCurrent(oldest);
      if (current && oldest.at >= before) break;
      finished.shift();
      if (!current) continue;
      this.drop(oldest.entry);
      dropped++;
    }
    return dropped;
  }

  /** The queue of that name, which exists from its first mention on. */
  queue(name: string): QueueEntry {
    let queue = this.queues.get(name);
    if (queue === undefined) {
      queue = { name, paused: false, concurrency: null, counts: noJobs(), lines: new Map() };
      this.queues.set(name, queue);
    }
    return queue;
  }

  /** The unfinished job that holds a unique key. */
  holder(name: string, key: string | null): Entry | undefined {
    return key === null ? undefined : this.unique.get(uniqueKey(name, key));
  }

  /** The running job of a lease, if the lease still holds it. */
  held({ jobId, token }: Lease): Entry | null {
    const entry = this.jobs.get(jobId);
    return entry !== undefined && entry.token === token && entry.job.state === "running"
      ? entry
      : null;
  }

  wake(queue: string): void {
    for (const waker of this.#wakers) waker(queue);
  }

  onWake(waker: (queue: string) => void): () => Promise<void> {
    this.#wakers.add(waker);
    return () => Promise.resolve(void this.#wakers.delete(waker));
  }

  /** Puts the job at the end of those that finished in this state. */
  #note(entry: Entry, state: "completed" | "failed" | "cancelled", at: EpochMs): void {
    const finished = this.#finished[state];
    finished.push(entry.finished = { entry, at });
    // Jobs that were retried or removed leave stale places, which would hold on to their payloads.
    if (finished.size > 2 * this.counts[state] + 256) finished.remove(isCurrent);
  }

  /** Takes the job out of the line or the lease that it is in. */
  #leave(entry: Entry): void {
    if (isWaiting(entry.job.state)) entry.line?.remove(entry);
    else this.running.delete(entry);
  }

  #line({ job, queue }: Entry): ReadyQueue {
    let lines = queue.lines.get(job.name);
    if (lines === undefined) {
      lines = { normal: new ReadyQueue(), suspects: new ReadyQueue() };
      queue.lines.set(job.name, lines);
    }
    return isSuspect(job) ? lines.suspects : lines.normal;
  }

  #setState(entry: Entry, state: JobState, now: EpochMs): void {
    const { counts } = entry.queue;
    counts[entry.job.state]--;
    counts[state]++;
    this.counts[entry.job.state]--;
    this.counts[state]++;
    entry.job.state = state;
    entry.job.updatedAt = now;
  }
}

function isCurrent(place: Finished): boolean {
  return place.entry.finished === place;
}

/** Letters are listed by the time of failure; the id makes the key unique. */
function letterKey(letter: DeadLetterRecord): string {
  return letter.failedAt.toString().padStart(16, "0") + letter.id;
}

function uniqueKey(name: string, key: string): string {
  return `${keyholderName(name)}\u0000${key}`;
}
