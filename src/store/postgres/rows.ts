import type { DeadLetterRecord } from "../../core/dead_letter.ts";
import type { JobCounts, JobRecord, JobState, Scope } from "../../core/job.ts";
import type { Failure } from "../../core/outcome.ts";
import { noJobs } from "../../core/job.ts";
import { fromUuid } from "./uuid.ts";

/** A row of the view `records`. */
export interface RecordRow {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly state: JobState;
  readonly priority: number;
  readonly payload: string;
  readonly max_retries: number;
  readonly timeout_ms: number;
  readonly unique_key: string | null;
  readonly labels: string | null;
  readonly run_at: number;
  readonly attempt: number;
  readonly retry_count: number;
  readonly crashes: number;
  readonly failure: string | null;
  readonly result: string | null;
  readonly progress: string | null;
  readonly cancel_requested: boolean;
  readonly worker_id: string | null;
  readonly created_at: number;
  readonly updated_at: number;
  readonly started_at: number | null;
  readonly completed_at: number | null;
  readonly heartbeat_at: number | null;
}

/** A row of `letters`. */
export interface LetterRow {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly payload: string;
  readonly priority: number;
  readonly timeout_ms: number;
  readonly max_retries: number;
  readonly retry_count: number;
  readonly unique_key: string | null;
  readonly labels: string | null;
  readonly failure: string;
  readonly failed_at: number;
  readonly replayed_at: number | null;
  readonly created_at: number;
}

interface Labels {
  readonly tags?: readonly string[];
  readonly scope?: Scope;
}

const NO_LABELS = Object.freeze({
  tags: Object.freeze([]) as readonly string[],
  scope: Object.freeze({}) as Scope,
});

/** Tags and tenant in one column, which is null for most jobs. */
export function encodeLabels(tags: readonly string[], scope: Scope): string | null {
  const scoped = scope.appId !== undefined || scope.orgId !== undefined;
  if (tags.length === 0 && !scoped) return null;
  return JSON.stringify({ ...(tags.length > 0 && { tags }), ...(scoped && { scope }) });
}

/** A key of any characters as one that Postgres takes: text has no NUL and no lone surrogates. */
export function encodeKey(key: string | null): string | null {
  return key === null ? null : JSON.stringify(key).slice(1, -1);
}

/** Undoes {@link encodeKey}. */
export function decodeKey(key: string | null): string | null {
  return key === null ? null : key.includes("\\") ? JSON.parse(`"${key}"`) : key;
}

/** A job out of the view `records`. */
export function toRecord(row: RecordRow): JobRecord {
  const labels = decodeLabels(row.labels);
  return {
    id: fromUuid("job", row.id),
    name: row.name,
    queue: row.queue,
    priority: row.priority,
    payload: row.payload,
    maxRetries: row.max_retries,
    timeoutMs: row.timeout_ms,
    uniqueKey: decodeKey(row.unique_key),
    tags: labels.tags,
    scope: labels.scope,
    state: row.state,
    runAt: row.run_at,
    attempt: row.attempt,
    retryCount: row.retry_count,
    crashes: row.crashes,
    failure: decodeFailure(row.failure),
    result: row.result,
    progress: row.progress,
    cancelRequested: row.cancel_requested,
    workerId: row.worker_id,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    startedAt: row.started_at,
    completedAt: row.completed_at,
    heartbeatAt: row.heartbeat_at,
  };
}

/** Undoes {@link encodeLabels}. */
export function decodeLabels(text: string | null): Required<Labels> {
  return text === null ? NO_LABELS : { ...NO_LABELS, ...JSON.parse(text) as Labels };
}

/** What a failure was stored as. */
export function decodeFailure(text: string | null): Failure | null {
  return text === null ? null : JSON.parse(text) as Failure;
}

/** A dead letter. */
export function toLetter(row: LetterRow): DeadLetterRecord {
  const labels = decodeLabels(row.labels);
  return {
    id: fromUuid("dlq", row.id),
    jobId: fromUuid("job", row.id),
    jobName: row.name,
    queue: row.queue,
    payload: row.payload,
    priority: row.priority,
    timeoutMs: row.timeout_ms,
    maxRetries: row.max_retries,
    retryCount: row.retry_count,
    uniqueKey: decodeKey(row.unique_key),
    tags: labels.tags,
    scope: labels.scope,
    failure: JSON.parse(row.failure) as Failure,
    failedAt: row.failed_at,
    replayedAt: row.replayed_at,
    createdAt: row.created_at,
  };
}

/** The states of `finished` and `tallies`, which are single characters there. */
const STATES: Record<string, JobState> = {
  p: "pending",
  r: "running",
  c: "completed",
  y: "retrying",
  d: "failed",
  x: "cancelled",
};

/** The character of a final state. */
export const FINAL = { completed: "c", failed: "d", cancelled: "x" } as const;

/** Adds up rows of counts. */
export function toCounts(
  rows: readonly { readonly state: string; readonly n: number }[],
): JobCounts {
  const counts = noJobs();
  for (const { state, n } of rows) counts[STATES[state]] += n;
  return counts;
}
