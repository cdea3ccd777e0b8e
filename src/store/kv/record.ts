/** The records of a KV store: jobs, what a claim adds to them while they run, and dead letters. */

import type { EpochMs } from "../../core/clock.ts";
import type { DeadLetterRecord } from "../../core/dead_letter.ts";
import type { JobRecord } from "../../core/job.ts";
import type { JsonText } from "../../core/json.ts";
import { Format, type Stored, UNLABELLED } from "./format.ts";
import type { StoredFlow } from "./run_record.ts";

/** A job as it is kept. */
export type StoredJob = Stored<JobRecord>;

/** What is written of a job while it runs, so that its record need not be written anew. */
export interface ClaimRecord {
  /** Versionstamp of the claim, once that of the key is another; `null` until then. */
  readonly token: string | null;
  /** When the lease runs out. */
  readonly leaseUntil: EpochMs;
  readonly workerId: string;
  readonly startedAt: EpochMs;
  readonly heartbeatAt: EpochMs;
  readonly updatedAt: EpochMs;
  /** Progress of this attempt; `null` where it has reported none. */
  readonly progress: JsonText | null;
  readonly cancelRequested: boolean;
}

/** What is known of a run that this process executes. The fence of leases guards it. */
export interface Slice {
  /** What it has beside its job. */
  flow?: StoredFlow;
  /** The highest position at which there is a checkpoint, -Infinity where there is none. */
  top?: number;
}

/** A job that runs. */
export interface Running {
  /** The fencing token of its lease. */
  readonly token: string;
  /** Versionstamp of its claim's key. */
  readonly versionstamp: string;
  /** As it began to run. */
  readonly job: StoredJob;
  readonly claim: Stored<ClaimRecord>;
  /** What is known of it as a run; `null` where its lease is held elsewhere, and nothing guards that. */
  readonly slice: Slice | null;
}

/** What most jobs and letters have in common. */
const USUAL = {
  priority: 0,
  maxRetries: 3,
  timeoutMs: 0,
  uniqueKey: null,
  ...UNLABELLED,
  retryCount: 0,
} as const;

export const jobs = new Format<JobRecord>({
  usual: {
    ...USUAL,
    state: "pending",
    attempt: 0,
    crashes: 0,
    failure: null,
    result: null,
    progress: null,
    cancelRequested: false,
    workerId: null,
    startedAt: null,
    completedAt: null,
    heartbeatAt: null,
  },
  long: ["payload", "result", "progress", "failure", "tags"],
});

export const claims = new Format<ClaimRecord>({
  usual: { token: null, progress: null, cancelRequested: false },
  long: ["progress"],
});

export const letters = new Format<DeadLetterRecord>({
  usual: { ...USUAL, replayedAt: null },
  long: ["payload", "failure", "tags"],
});

/** The record of a job that runs, with what its claim says. */
export function runningJob({ job, claim }: Pick<Running, "job" | "claim">): StoredJob {
  const { record, pieces } = claim;
  const { workerId, startedAt, heartbeatAt, updatedAt, cancelRequested } = record;
  const reported = record.progress !== null || pieces !== null;
  return {
    record: {
      ...job.record,
      state: "running",
      attempt: job.record.attempt + 1,
      workerId,
      startedAt,
      heartbeatAt,
      updatedAt,
      cancelRequested,
      ...(reported && { progress: record.progress }),
    },
    pieces: reported ? withProgress(job.pieces, pieces?.progress) : job.pieces,
  };
}

function withProgress(pieces: Stored<JobRecord>["pieces"], progress: number | undefined) {
  const { progress: _, ...others } = pieces ?? {};
  const all = progress === undefined ? others : { ...others, progress };
  return Object.keys(all).length === 0 ? null : all;
}
