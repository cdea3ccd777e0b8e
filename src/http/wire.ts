/**
 * The shapes on the wire. Every field is present, `null` where there is nothing to tell; moments
 * are ISO 8601 in UTC, durations milliseconds.
 */

import type { DeadLetter } from "../core/dead_letter.ts";
import type { ErrorCode } from "../core/errors.ts";
import type { Job, JobCounts, JobState } from "../core/job.ts";
import type { Json } from "../core/json.ts";
import type { Queue } from "../core/queue.ts";

/** A job. */
export interface WireJob {
  id: string;
  name: string;
  queue: string;
  state: JobState;
  payload: Json;
  priority: number;
  max_retries: number;
  retry_count: number;
  last_error: string | null;
  run_at: string;
  started_at: string | null;
  completed_at: string | null;
  heartbeat_at: string | null;
  timeout: number;
  worker_id: string | null;
  tags: readonly string[];
  scope_app_id: string | null;
  scope_org_id: string | null;
  created_at: string;
  updated_at: string;
  result: Json;
  attempt: number;
  unique_key: string | null;
  progress: Json;
}

/** A dead letter. */
export interface WireDeadLetter {
  id: string;
  job_id: string;
  job_name: string;
  queue: string;
  payload: Json;
  error: string;
  retry_count: number;
  max_retries: number;
  scope_app_id: string | null;
  scope_org_id: string | null;
  failed_at: string;
  replayed_at: string | null;
  created_at: string;
  reason: ErrorCode;
  tags: readonly string[];
}

/** A queue. */
export interface WireQueue {
  name: string;
  paused: boolean;
  concurrency: number | null;
  counts: JobCounts;
}

/** Writes a job for the wire. */
export function jobToWire(job: Job): WireJob {
  return {
    id: job.id,
    name: job.name,
    queue: job.queue,
    state: job.state,
    payload: job.payload,
    priority: job.priority,
    max_retries: job.maxRetries,
    retry_count: job.retryCount,
    last_error: job.lastError,
    run_at: job.runAt.toISOString(),
    started_at: iso(job.startedAt),
    completed_at: iso(job.completedAt),
    heartbeat_at: iso(job.heartbeatAt),
    timeout: job.timeout,
    worker_id: job.workerId,
    tags: job.tags,
    scope_app_id: job.scope.appId ?? null,
    scope_org_id: job.scope.orgId ?? null,
    created_at: job.createdAt.toISOString(),
    updated_at: job.updatedAt.toISOString(),
    result: job.result,
    attempt: job.attempt,
    unique_key: job.uniqueKey,
    progress: job.progress,
  };
}

/** Writes a dead letter for the wire. Its stack stays in: it tells of the server's insides. */
export function deadLetterToWire(letter: DeadLetter): WireDeadLetter {
  return {
    id: letter.id,
    job_id: letter.jobId,
    job_name: letter.jobName,
    queue: letter.queue,
    payload: letter.payload,
    error: letter.error,
    retry_count: letter.retryCount,
    max_retries: letter.maxRetries,
    scope_app_id: letter.scope.appId ?? null,
    scope_org_id: letter.scope.orgId ?? null,
    failed_at: letter.failedAt.toISOString(),
    replayed_at: iso(letter.replayedAt),
    created_at: letter.createdAt.toISOString(),
    reason: letter.reason,
    tags: letter.tags,
  };
}

/** Writes a queue for the wire. */
export function queueToWire({ name, paused, concurrency, counts }: Queue): WireQueue {
  return { name, paused, concurrency, counts };
}

function iso(moment: Date | null): string | null {
  return moment === null ? null : moment.toISOString();
}
