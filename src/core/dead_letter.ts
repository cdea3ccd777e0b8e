import type { EpochMs } from "./clock.ts";
import type { JobRecord, Scope } from "./job.ts";
import type { JsonText } from "./json.ts";
import { withPrefix } from "./id.ts";
import type { Failure } from "./outcome.ts";

/**
 * A dead letter as stores keep it: all that is needed to run the job again, also when the job
 * itself has been pruned. A job has at most one; its id is the job's under the prefix `dlq`.
 */
export interface DeadLetterRecord {
  /** `dlq_…`. */
  readonly id: string;
  /** The job that died. */
  readonly jobId: string;
  /** Name of the definition. */
  readonly jobName: string;
  /** Queue of the job. */
  readonly queue: string;
  /** Input of the job, as JSON text. */
  readonly payload: JsonText;
  /** Priority of the job. */
  readonly priority: number;
  /** Its time limit in milliseconds; 0 is none. */
  readonly timeoutMs: number;
  /** Its retries. */
  readonly maxRetries: number;
  /** Failures that were retried. */
  readonly retryCount: number;
  /** Its unique key. */
  readonly uniqueKey: string | null;
  /** Its labels. */
  readonly tags: readonly string[];
  /** Its tenant. */
  readonly scope: Scope;
  /** Why it died. */
  readonly failure: Failure;
  /** When it died. */
  readonly failedAt: EpochMs;
  /** When it was replayed or retried, if ever. */
  readonly replayedAt: EpochMs | null;
  /** When the letter was written. */
  readonly createdAt: EpochMs;
}

/** Writes the letter of a job that dies now. */
export function deadLetterOf(job: JobRecord, failure: Failure, now: EpochMs): DeadLetterRecord {
  return {
    id: withPrefix("dlq", job.id),
    jobId: job.id,
    jobName: job.name,
    queue: job.queue,
    payload: job.payload,
    priority: job.priority,
    timeoutMs: job.timeoutMs,
    maxRetries: job.maxRetries,
    retryCount: job.retryCount,
    uniqueKey: job.uniqueKey,
    tags: job.tags,
    scope: job.scope,
    failure,
    failedAt: now,
    replayedAt: null,
    createdAt: now,
  };
}
