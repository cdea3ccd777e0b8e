import type { EpochMs } from "./clock.ts";
import { decodeJson, type Json, type JsonText } from "./json.ts";
import type { Failure } from "./outcome.ts";

/**
 * Where a job is in its life. `pending` and `retrying` wait for `runAt`, `running` is leased by a
 * worker, the other three are final.
 */
export type JobState = "pending" | "running" | "completed" | "retrying" | "failed" | "cancelled";

/** All states, in the order of a job's life. */
export const JOB_STATES: readonly JobState[] = [
  "pending",
  "running",
  "completed",
  "retrying",
  "failed",
  "cancelled",
];

/** How many jobs are in each state. */
export type JobCounts = Record<JobState, number>;

/** A count of zero for each state. */
export function noJobs(): JobCounts {
  return { pending: 0, running: 0, completed: 0, retrying: 0, failed: 0, cancelled: 0 };
}

/** Whom a job belongs to, in applications with several tenants. */
export interface Scope {
  /** The application. */
  readonly appId?: string;
  /** The organisation within it. */
  readonly orgId?: string;
}

/** What a store is given: everything about a job that its creator decides. */
export interface NewJob {
  /** `job_…`, made by the creator. */
  readonly id: string;
  /** Name of the definition. */
  readonly name: string;
  /** Queue that it waits in. */
  readonly queue: string;
  /** Higher runs first. */
  readonly priority: number;
  /** Input, as JSON text. */
  readonly payload: JsonText;
  /** Failures that are retried before the job is dead. */
  readonly maxRetries: number;
  /** Milliseconds an attempt may take; 0 is no limit. */
  readonly timeoutMs: number;
  /** Milliseconds from the store's now until it may run, where `runAt` is null. */
  readonly delayMs: number;
  /** When it may run, or null for `delayMs` from now. */
  readonly runAt: EpochMs | null;
  /** While an unfinished job of this name holds the key, no second one is made. */
  readonly uniqueKey: string | null;
  /** Free labels. */
  readonly tags: readonly string[];
  /** Tenant. */
  readonly scope: Scope;
}

/** A job as stores keep it: moments are epoch milliseconds, JSON is text. */
export interface JobRecord extends Omit<NewJob, "delayMs" | "runAt"> {
  /** Where it is in its life. */
  readonly state: JobState;
  /** When it may run next. */
  readonly runAt: EpochMs;
  /** Times it was started; attempts that were given back do not count. */
  readonly attempt: number;
  /** Failures so far. */
  readonly retryCount: number;
  /** Leases of it that ran out because the worker died or hung. */
  readonly crashes: number;
  /** Why the last attempt failed. */
  readonly failure: Failure | null;
  /** What the handler returned, as JSON text. */
  readonly result: JsonText | null;
  /** What the handler last reported, as JSON text. */
  readonly progress: JsonText | null;
  /** Someone cancelled it while it was running. */
  readonly cancelRequested: boolean;
  /** The worker that holds, or last held, its lease. */
  readonly workerId: string | null;
  /** When it was enqueued. */
  readonly createdAt: EpochMs;
  /** When it last changed. */
  readonly updatedAt: EpochMs;
  /** When its latest attempt was claimed. */
  readonly startedAt: EpochMs | null;
  /** When it reached its final state. */
  readonly completedAt: EpochMs | null;
  /** When its lease was last extended. */
  readonly heartbeatAt: EpochMs | null;
}

const NO_TAGS: readonly string[] = Object.freeze([]);
const NO_SCOPE: Scope = Object.freeze({});

/** The record of a job that is added at a moment. It shares nothing with what was given. */
export function newRecord(job: NewJob, now: EpochMs): JobRecord {
  const { appId, orgId } = job.scope;
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
    scope: appId === undefined && orgId === undefined ? NO_SCOPE : Object.freeze({ ...job.scope }),
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

/** A job as users see it: a plain snapshot, changed by nobody. */
export interface Job<Payload = Json> {
  /** `job_…`, sortable by time of creation. */
  readonly id: string;
  /** Name of the definition. */
  readonly name: string;
  /** Queue that it waits in. */
  readonly queue: string;
  /** Where it is in its life. */
  readonly state: JobState;
  /** Higher runs first. */
  readonly priority: number;
  /** Its input. */
  readonly payload: Payload;
  /** What the handler returned; `null` until then. */
  readonly result: Json;
  /** What the handler last reported with `job.progress()`; `null` until then. */
  readonly progress: Json;
  /** Failures that are retried before the job is dead. */
  readonly maxRetries: number;
  /** Failures so far. */
  readonly retryCount: number;
  /** Times it was started; attempts that were given back do not count. */
  readonly attempt: number;
  /** Message of the last failure. */
  readonly lastError: string | null;
  /** Milliseconds an attempt may take; 0 is no limit. */
  readonly timeout: number;
  /** While this job is unfinished, no second one of its name is made with this key. */
  readonly uniqueKey: string | null;
  /** Free labels. */
  readonly tags: readonly string[];
  /** Tenant. */
  readonly scope: Scope;
  /** The worker that holds, or last held, its lease. */
  readonly workerId: string | null;
  /** When it may run next. */
  readonly runAt: Date;
  /** When it was enqueued. */
  readonly createdAt: Date;
  /** When it last changed. */
  readonly updatedAt: Date;
  /** When its latest attempt was claimed. */
  readonly startedAt: Date | null;
  /** When it reached its final state. */
  readonly completedAt: Date | null;
  /** When its lease was last extended. */
  readonly heartbeatAt: Date | null;
}

/** Turns a record into what users see. */
export function toJob(record: JobRecord): Job {
  return {
    id: record.id,
    name: record.name,
    queue: record.queue,
    state: record.state,
    priority: record.priority,
    payload: decodeJson(record.payload) as Json,
    result: record.result === null ? null : decodeJson(record.result) as Json,
    progress: record.progress === null ? null : decodeJson(record.progress) as Json,
    maxRetries: record.maxRetries,
    retryCount: record.retryCount,
    attempt: record.attempt,
    lastError: record.failure?.message ?? null,
    timeout: record.timeoutMs,
    uniqueKey: record.uniqueKey,
    tags: record.tags,
    scope: record.scope,
    workerId: record.workerId,
    runAt: new Date(record.runAt),
    createdAt: new Date(record.createdAt),
    updatedAt: new Date(record.updatedAt),
    startedAt: toDate(record.startedAt),
    completedAt: toDate(record.completedAt),
    heartbeatAt: toDate(record.heartbeatAt),
  };
}

/** A `Date`, or null where there is no moment. */
export function toDate(at: EpochMs | null): Date | null {
  return at === null ? null : new Date(at);
}
