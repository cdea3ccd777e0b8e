import type { JobCounts } from "./job.ts";

/** What is set for a queue. A queue of which nothing is set need not exist. */
export interface QueueSettings {
  /** While true, none of its jobs are claimed. */
  readonly paused: boolean;
  /** How many of its jobs run at once, over all workers that share the store; `null` is no limit. */
  readonly concurrency: number | null;
}

/** A queue as users see it. */
export interface Queue extends QueueSettings {
  /** Its name. */
  readonly name: string;
  /** Its jobs by state. */
  readonly counts: JobCounts;
}
