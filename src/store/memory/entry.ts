import type { EpochMs } from "../../core/clock.ts";
import type { JobCounts, JobRecord, JobState } from "../../core/job.ts";
import type { QueueSettings } from "../../core/queue.ts";
import type { ReadyQueue, Ticket } from "./ready_queue.ts";

/** What can be written of a record inside the store. */
export type Mutable<Record> = { -readonly [Key in keyof Record]: Record[Key] };

/** A job as the store holds it. No reference to `job` ever leaves the store. */
export interface Entry {
  readonly job: Mutable<JobRecord>;
  readonly queue: QueueEntry;
  /** Of the current or latest lease; a later claim has a higher one. */
  token: number;
  /** When the lease runs out, while the job is running. */
  leaseUntil: EpochMs;
  /** Its place in line, while it waits. */
  ticket: Ticket | null;
  /** The line that it last stood in. */
  line: ReadyQueue | null;
  /** Its place among the finished jobs, while it is one. */
  finished: Finished | null;
  /** Set once the job has been removed. */
  gone: boolean;
}

/** A job that has finished, in the order of finishing; stale once the job was retried or removed. */
export interface Finished {
  readonly entry: Entry;
  readonly at: EpochMs;
}

/** A queue as the store holds it. */
export interface QueueEntry extends Mutable<QueueSettings> {
  readonly name: string;
  readonly counts: JobCounts;
  /** Waiting jobs by name. */
  readonly lines: Map<string, Lines>;
}

/** The two lines of one queue and name. */
export interface Lines {
  readonly normal: ReadyQueue;
  /** Jobs that may be in a crash loop: claimed one at a time. */
  readonly suspects: ReadyQueue;
}

/** True while the job is waiting to be claimed. */
export function isWaiting(state: JobState): boolean {
  return state === "pending" || state === "retrying";
}

/** True once the job has ended. */
export function isFinished(state: JobState): boolean {
  return state === "completed" || state === "failed" || state === "cancelled";
}

/** A copy of the record for the outside; what it refers to (tags, scope, failure) is frozen. */
export function copyJob({ job }: Entry): JobRecord {
  return { ...job };
}
