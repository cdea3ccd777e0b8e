import type { DeadLetterRecord } from "./dead_letter.ts";
import type { ErrorCode } from "./errors.ts";
import { type Scope, toDate } from "./job.ts";
import { decodeJson, type Json } from "./json.ts";

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
