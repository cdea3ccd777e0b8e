/**
 * The port between the engine and what keeps the jobs. A store keeps its promises under concurrent
 * callers in any number of processes; `@dispatch/dispatch/testing` holds the suite that says
 * whether one does. What every method has in common:
 *
 * - it takes and returns arrays, so that concurrent callers can share one round trip; results come
 *   in the order of what was asked;
 * - records are copies, on the way in and on the way out;
 * - every deadline is read off the store's own clock, never the caller's;
 * - each change is one conditional write: it happens whole or not at all;
 * - it ends, by its result or by an error, in bounded time: a store that waits for ever holds up
 *   whoever works on it.
 */

import type { DeadLetterRecord } from "../core/dead_letter.ts";
import type { JobCounts, JobRecord, JobState, NewJob } from "../core/job.ts";
import type { JsonText } from "../core/json.ts";
import type { ClaimedJob, Lease, LeaseStatus } from "../core/lease.ts";
import type { Outcome } from "../core/outcome.ts";
import type { Queue, QueueSettings } from "../core/queue.ts";
import type { EventStore, RunStore } from "./run_store.ts";

export type * from "./run_store.ts";

/** Keeps jobs, dead letters and queues. */
export interface Store {
  /** Kind of store, for logs and health: `"memory"`, `"postgres"`, … */
  readonly name: string;
  /** Largest payload or result that it takes, in bytes of UTF-8 JSON. */
  readonly maxPayloadBytes: number;
  /** False where everything is gone when the process ends. */
  readonly durable: boolean;
  /** Jobs. */
  readonly jobs: JobStore;
  /** Jobs that died. */
  readonly deadLetters: DeadLetterStore;
  /** Settings and figures of queues. */
  readonly queues: QueueStore;
  /** Transactions of the database that the store is in; not there where it has none. */
  readonly transactions?: StoreTransactions;
  /** Runs of workflows; not there where it keeps none. */
  readonly runs?: RunStore;
  /** Events for runs; there where runs are. */
  readonly events?: EventStore;
  /** Brings its schema up to date; does nothing where it is. */
  migrate(): Promise<void>;
  /**
   * Refuses a schema that is not up to date, for those who may not migrate. Not there where nothing
   * can be outdated.
   *
   * @throws {DispatchError} `schema_outdated`, `schema_newer`
   */
  checkSchema?(): Promise<void>;
  /** Resolves when the store answers. */
  ping(): Promise<void>;
  /** Lets go of everything that it opened itself. */
  close(): Promise<void>;
  /**
   * Calls `wake` soon after jobs of a queue may have become ready to claim, also by a free place in
   * a queue with a limit. It is a hint: it may come late, twice or never, since polling finds every
   * job. Returns how to stop it.
   */
  onWake?(wake: (queue: string) => void): Promise<() => Promise<void>>;
}

/** What a worker asks for. */
export interface ClaimRequest {
  /** Who asks; it is written on the job. */
  readonly workerId: string;
  /** Queues to look in, the first first. */
  readonly queues: readonly string[];
  /** Names of jobs that the worker can run. No other job is touched. */
  readonly names: readonly string[];
  /** At most so many jobs. */
  readonly limit: number;
  /** Milliseconds until the leases run out. */
  readonly leaseMs: number;
  /** True claims only jobs that are suspected of a crash loop; false only the others. */
  readonly suspects: boolean;
}

/** A lease to extend, and what its handler wants to be known meanwhile. */
export interface LeaseExtension {
  /** The lease. */
  readonly lease: Lease;
  /** New progress, or `undefined` to leave it as it is. */
  readonly progress?: JsonText;
}

/** An attempt that ended. */
export interface Settlement {
  /** The lease under which it ran. */
  readonly lease: Lease;
  /** How it ended. */
  readonly outcome: Outcome;
  /** True for a run of a workflow, whose end others may wait for. */
  readonly isRun?: boolean;
}

/**
 * What became of a settlement: it was written as it was asked for; it ended the job as cancelled
 * instead; or its lease was no longer held and it changed nothing. `compensating` is a run that was
 * cancelled and is ready again, to undo its steps first.
 */
export type SettleStatus = "settled" | "cancelled" | "compensating" | "lost";

/** Which records to list. Every field that is set narrows the list. */
export interface JobQuery {
  /** Only jobs in this state. */
  readonly state?: JobState;
  /** Only jobs of this queue. */
  readonly queue?: string;
  /** Only jobs of this name. */
  readonly name?: string;
  /** At most so many. */
  readonly limit: number;
  /** Skips so many. */
  readonly offset: number;
  /** Starts behind the record that an earlier page ended with. */
  readonly cursor?: string;
}

/** A part of a list. */
export interface Page<Item> {
  /** The items. */
  readonly items: Item[];
  /** Where the next page starts; `null` on the last one. */
  readonly nextCursor: string | null;
}

/** How long finished jobs are kept, in milliseconds by the store's clock; `null` keeps all. */
export interface RetentionAges {
  /** Since a job completed. */
  readonly completed: number | null;
  /** Since a job failed for good. */
  readonly failed: number | null;
  /** Since a job was cancelled. */
  readonly cancelled: number | null;
}

/** The jobs of a store. */
export interface JobStore {
  /**
   * Adds jobs. Where an unfinished job of the same name holds the same unique key, nothing is
   * added and that job is returned in its place: its id then differs from the one asked for. Nor is
   * a job added whose id an unfinished one has: a write that is tried again at once, because nobody
   * knows whether it happened, adds nothing twice.
   *
   * @param fresh nobody has sent these ids before: they need not be looked for. Default `false`
   */
  enqueue(jobs: readonly NewJob[], fresh?: boolean): Promise<JobRecord[]>;
  /**
   * Leases ready jobs: `pending` or `retrying`, due, of a queue that is not paused and below its
   * concurrency. Within a queue the highest priority comes first, then the earliest `runAt`, then
   * the lowest id. Each becomes `running`, its attempt is counted, and no one else is given it
   * until the lease is settled or has run out.
   */
  claim(request: ClaimRequest): Promise<ClaimedJob[]>;
  /**
   * Milliseconds until the next job of these queues and names is due, 0 where one is, `null` where
   * none waits. A hint that spares polls.
   */
  nextDue(queues: readonly string[], names: readonly string[]): Promise<number | null>;
  /** Extends the leases that are still held, from now. */
  extend(extensions: readonly LeaseExtension[], leaseMs: number): Promise<LeaseStatus[]>;
  /**
   * Ends attempts: the only way out of `running`, apart from {@link JobStore.rescue}. `dead` writes
   * the dead letter in the same transaction. Where cancellation was asked for, every outcome but
   * `complete` ends the job as cancelled, and all but `cancel` itself answer so. A lease that is not
   * held changes nothing: `lost`. A run that is parked although an open step of it has ended meanwhile
   * is ready at once; one that is to undo its steps before it is cancelled is so, too.
   */
  settle(settlements: readonly Settlement[]): Promise<SettleStatus[]>;
  /**
   * Takes back leases that have run out, at most `limit`: the job may be claimed again at once; at
   * the last allowed crash it dies of `crash_loop`; one that was to be cancelled is. Returns the
   * jobs as they are then.
   */
  rescue(limit: number): Promise<JobRecord[]>;
  /**
   * Cancels. A waiting job is `cancelled` at once; a running one is marked, and its worker learns
   * of it with its next {@link JobStore.extend}.
   *
   * @throws {DispatchError} `not_found`, `wrong_state`
   */
  cancel(id: string): Promise<JobRecord>;
  /**
   * Makes a failed, cancelled or retrying job ready now, with all its retries. Its dead letter, if
   * it has one, is marked as replayed in the same transaction. A run goes on behind what it has
   * completed, or with the compensation that failed; one whose steps are undone starts afresh.
   *
   * @throws {DispatchError} `not_found`, `wrong_state`, `unique_conflict`
   */
  retry(id: string): Promise<JobRecord>;
  /**
   * Removes a job that is not running, or a run that has ended. Its dead letter stays.
   *
   * @throws {DispatchError} `not_found`, `wrong_state`
   */
  remove(id: string): Promise<void>;
  /** Reads jobs by id, `null` for those that do not exist. */
  get(ids: readonly string[]): Promise<(JobRecord | null)[]>;
  /** Lists jobs, the newest first. */
  list(query: JobQuery): Promise<Page<JobRecord>>;
  /** Counts jobs by state. */
  counts(): Promise<JobCounts>;
  /** Removes at most `limit` jobs that finished longer ago than that. Returns how many. */
  prune(ages: RetentionAges, limit: number): Promise<number>;
}

/** What a store does in transactions that hold writes of its user's as well. */
export interface StoreTransactions {
  /**
   * As {@link JobStore.enqueue}, in a transaction that the caller has opened with a client of the same
   * database: the jobs exist, and workers are woken, exactly when it commits.
   *
   * @param fresh false where somebody may have sent these ids before. Default `true`
   * @throws {DispatchError} `unsupported_client` for what is no open transaction
   */
  enqueue(tx: unknown, jobs: readonly NewJob[], fresh?: boolean): Promise<JobRecord[]>;
  /**
   * Runs `work` in a transaction of its own, which also completes the job with the result that `work`
   * returns. Where the lease is not held any more all of it is rolled back: `lost`. What `work`
   * throws rolls back as well, and is passed on.
   */
  complete(lease: Lease, work: (tx: unknown) => Promise<JsonText>): Promise<"settled" | "lost">;
}

/** Which dead letters are meant. Every field that is set narrows the selection. */
export interface DeadLetterSelector {
  /** Only those of this queue. */
  readonly queue?: string;
  /** Only those of jobs of this name. */
  readonly jobName?: string;
  /** Only those that have been replayed, or only those that have not. */
  readonly replayed?: boolean;
  /** Only those that failed longer ago than so many milliseconds, by the store's clock. */
  readonly olderThanMs?: number;
}

/** Which dead letters to list. */
export interface DeadLetterQuery extends DeadLetterSelector {
  /** At most so many. */
  readonly limit: number;
  /** Skips so many. */
  readonly offset: number;
  /** Starts behind the record that an earlier page ended with. */
  readonly cursor?: string;
}

/** The dead letters of a store. */
export interface DeadLetterStore {
  /** Reads one, `null` where it does not exist. */
  get(id: string): Promise<DeadLetterRecord | null>;
  /** Lists them, the latest failure first. */
  list(query: DeadLetterQuery): Promise<Page<DeadLetterRecord>>;
  /** Counts them. */
  count(filter: DeadLetterSelector): Promise<number>;
  /**
   * Enqueues the job of a letter again, as a new job with the given id, and marks the letter, in
   * one transaction.
   *
   * @throws {DispatchError} `not_found`, `wrong_state` when it was replayed before,
   * `unique_conflict` when an unfinished job holds its unique key
   */
  replay(id: string, jobId: string): Promise<JobRecord>;
  /** Removes at most `limit` of them. Returns how many. */
  purge(filter: DeadLetterSelector, limit: number): Promise<number>;
}

/** The queues of a store. */
export interface QueueStore {
  /** Lists queues that have jobs or settings, by name. */
  list(): Promise<Queue[]>;
  /** Changes settings; what is not named stays as it is. */
  configure(name: string, settings: Partial<QueueSettings>): Promise<void>;
}
