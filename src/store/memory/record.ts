import type { EpochMs } from "../../core/clock.ts";
import type { JobRecord, NewJob } from "../../core/job.ts";
import type { Entry, Mutable } from "./entry.ts";

const NO_TAGS: readonly string[] = Object.freeze([]);
const NO_SCOPE = Object.freeze({});

/** The record of a job that is added now. It shares nothing with what the caller passed. */
export function newRecord(job: NewJob, now: EpochMs): Mutable<JobRecord> {
  return {
    id: job.id,
    name: job.name,
    queue: job.queue,
    priority: job.priority,
    payload: job.payload,
    maxRetries: job.maxRetries,
    timeoutMs: job.timeoutMs,
    uniqueKey: job.uniqueKey,
    tags: job.tags.length === 0 ? NO_TAGS : Object.freeze([...job.tags]),
    scope: job.scope.appId === undefined && job.scope.orgId === undefined
      ? NO_SCOPE
      : Object.freeze({ ...job.scope }),
    state: "pending",
    runAt: job.runAt ?? now + job.delayMs,
    attempt: 0,
    retryCount: 0,
    crashes: 0,
    failure: null,
    result: null,
    progress: null,
    cancelRequested: false,
    workerId: null,
    createdAt: now,
    updatedAt: now,
    startedAt: null,
    completedAt: null,
    heartbeatAt: null,
  };
}

/** A copy of the record for the outside; what it refers to (tags, scope, failure) is frozen. */
export function copyJob({ job }: Entry): JobRecord {
  return { ...job };
}
