import type { EpochMs } from "./clock.ts";
import type { ErrorCode } from "./errors.ts";
import { type JobRecord, type Scope, toDate } from "./job.ts";
import { decodeJson, type Json, type JsonText } from "./json.ts";
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

/** A dead letter as users see it. */
export interface DeadLetter {
  /** `dlq_…`, the suffix is that of the job. */
  readonly id: string;
  /** The job that died. */
  readonly jobId: string;
  /** Name of its definition. */
  readonly jobName: string;
  /** Its queue. */
  readonly queue: string;
  /** Its input. */
  readonly payload: Json;
  /** Message of the error that killed it. */
  readonly error: string;
  /** Kind of that error. */
  readonly reason: ErrorCode;
  /** Where it was thrown, if known. */
  readonly stack: string | null;
  /** Failures that were retried. */
  readonly retryCount: number;
  /** Retries that it had. */
  readonly maxRetries: number;
  /** Its labels. */
  readonly tags: readonly string[];
  /** Its tenant. */
  readonly scope: Scope;
  /** When it died. */
  readonly failedAt: Date;
  /** When it was replayed or retried, if ever. */
  readonly replayedAt: Date | null;
  /** When the letter was written. */
  readonly createdAt: Date;
}

/** Turns a record into what users see. */
export function toDeadLetter(record: DeadLetterRecord): DeadLetter {
  return {
    id: record.id,
    jobId: record.jobId,
    jobName: record.jobName,
    queue: record.queue,
    payload: decodeJson(record.payload) as Json,
    error: record.failure.message,
    reason: record.failure.code,
    stack: record.failure.stack ?? null,
    retryCount: record.retryCount,
    maxRetries: record.maxRetries,
    tags: record.tags,
    scope: record.scope,
    failedAt: new Date(record.failedAt),
    replayedAt: toDate(record.replayedAt),
    createdAt: new Date(record.createdAt),
  };
}
