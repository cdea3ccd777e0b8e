/**
 * The shapes on the wire. Every field is present, `null` where there is nothing to tell; moments
 * are ISO 8601 in UTC, durations milliseconds.
 */

import type { DeadLetter } from "../core/dead_letter_view.ts";
import type { ErrorCode } from "../core/errors.ts";
import type { Job, JobCounts, JobState } from "../core/job.ts";
import type { Json } from "../core/json.ts";
import type { Event } from "../core/event.ts";
import type { Queue } from "../core/queue.ts";
import type { RunState, StepKind } from "../core/run.ts";
import type { Run, RunStep, WaitingFor } from "../core/run_view.ts";

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

/** A run of a workflow. */
export interface WireRun {
  id: string;
  name: string;
  version: number;
  state: RunState;
  input: Json;
  output: Json;
  error: string | null;
  scope_app_id: string | null;
  scope_org_id: string | null;
  parent_run_id: string | null;
  started_at: string;
  completed_at: string | null;
  job_id: string;
  queue: string;
  waiting_for: WireWait[];
}

/** What a run, or a step of it, waits for. */
export interface WireWait {
  step: string;
  kind: WaitingFor["kind"];
  events: readonly string[];
  key: string | null;
  child_run_id: string | null;
  until: string | null;
}

/** A step of a run. */
export interface WireStep {
  name: string;
  kind: StepKind;
  state: RunStep["state"];
  attempt: number;
  result: Json;
  error: string | null;
  waiting_for: WireWait | null;
  child_run_id: string | null;
  started_at: string;
  ended_at: string | null;
}

/** An event. */
export interface WireEvent {
  id: string;
  name: string;
  run_id: string | null;
  key: string | null;
  payload: Json;
  created_at: string;
  delivered: number;
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

/** Writes a run for the wire. */
export function runToWire(run: Run): WireRun {
  return {
    id: run.id,
    name: run.name,
    version: run.version,
    state: run.state,
    input: run.input,
    output: run.output,
    error: run.error,
    scope_app_id: run.scope.appId ?? null,
    scope_org_id: run.scope.orgId ?? null,
    parent_run_id: run.parentRunId,
    started_at: run.startedAt.toISOString(),
    completed_at: iso(run.completedAt),
    job_id: run.jobId,
    queue: run.queue,
    waiting_for: run.waitingFor.map(waitToWire),
  };
}

/** Writes a step for the wire. */
export function stepToWire(step: RunStep): WireStep {
  return {
    name: step.name,
    kind: step.kind,
    state: step.state,
    attempt: step.attempt,
    result: step.result,
    error: step.error,
    waiting_for: step.waitingFor === null ? null : waitToWire(step.waitingFor),
    child_run_id: step.childRunId,
    started_at: step.startedAt.toISOString(),
    ended_at: iso(step.endedAt),
  };
}

/** Writes an event for the wire. */
export function eventToWire(event: Event): WireEvent {
  const { id, name, runId, key, payload, createdAt, delivered } = event;
  return { id, name, run_id: runId, key, payload, created_at: createdAt.toISOString(), delivered };
}

function waitToWire({ step, kind, events, key, childRunId, until }: WaitingFor): WireWait {
  return { step, kind, events, key, child_run_id: childRunId, until: iso(until) };
}

/** Writes a queue for the wire. */
export function queueToWire({ name, paused, concurrency, counts }: Queue): WireQueue {
  return { name, paused, concurrency, counts };
}

function iso(moment: Date | null): string | null {
  return moment === null ? null : moment.toISOString();
}
