/**
 * A run of a workflow is a job with checkpoints: it is claimed, leased, fenced and settled as every
 * job is. Its job's name tells the workflow and its version, so that only a worker that has this
 * version claims it, and the run's id is the job's under the prefix `run`.
 *
 *     running ─────────────────────────────▶ completed
 *        │ ───────────────────▶ failed, cancelled
 *        └──▶ compensating ──▶ failed, cancelled
 *
 * While it sleeps or waits it is a job that is not due: `waitingFor` tells which.
 */

import type { EpochMs } from "./clock.ts";
import { withPrefix } from "./id.ts";
import { type JobRecord, type Scope, toDate } from "./job.ts";
import { decodeJson, type Json, type JsonText } from "./json.ts";
import type { Failure } from "./outcome.ts";

/** Where a run is in its life; the last three are final. */
export type RunState = "running" | "compensating" | "completed" | "failed" | "cancelled";

/** All states, in the order of a run's life. */
export const RUN_STATES: readonly RunState[] = [
  "running",
  "compensating",
  "completed",
  "failed",
  "cancelled",
];

/** How many runs are in each state. */
export type RunCounts = Record<RunState, number>;

/** A count of zero for each state. */
export function noRuns(): RunCounts {
  return { running: 0, compensating: 0, completed: 0, failed: 0, cancelled: 0 };
}

/** When a job is due that waits for no moment: 9999-12-31. */
export const NEVER: EpochMs = 253_402_300_799_999;

const PREFIX = "workflow/";

/** True for the name of a job that is a run. No other job may have such a name. */
export function isRunName(jobName: string): boolean {
  return jobName.startsWith(PREFIX);
}

/** The name of the jobs of one version of a workflow. */
export function runJobName(name: string, version: number): string {
  return `${PREFIX}${name}@${version}`;
}

/** The workflow and the version that a job's name tells. */
export function parseRunName(jobName: string): { name: string; version: number } {
  const at = jobName.lastIndexOf("@");
  return { name: jobName.slice(PREFIX.length, at), version: Number(jobName.slice(at + 1)) };
}

/** The name under which a job holds its unique key: all versions of a workflow share theirs. */
export function keyholderName(jobName: string): string {
  return isRunName(jobName) ? PREFIX + parseRunName(jobName).name : jobName;
}

/** What a step does. Its kind is part of what must not change under a run. */
export type StepKind =
  | "run"
  | "sleep"
  | "event"
  | "child"
  | "spawn"
  | "now"
  | "random"
  | "id"
  | "set"
  | "emit"
  | "compensate";

/** What is remembered of one step of a run. */
export interface Checkpoint {
  /** Its place among the calls of steps, from 0; that of a compensation is `-1 - place`. */
  readonly position: number;
  /** Its name, numbered where it was used before: `"charge"`, `"charge#2"`. */
  readonly name: string;
  /** What it does. */
  readonly kind: StepKind;
  /** `open` while it waits: for a moment, an event, a child, or its next attempt. */
  readonly state: "open" | "completed" | "failed";
  /** Times that it was tried. */
  readonly attempt: number;
  /** What it returned, as JSON text. */
  readonly result: JsonText | null;
  /** Why it failed, or why its latest attempt did. */
  readonly failure: Failure | null;
  /** Names of events that it waits for, or waited for. */
  readonly events: readonly string[];
  /** Key of those events. */
  readonly key: string | null;
  /** The event that ended it. */
  readonly eventId: string | null;
  /** Job of the child that it started. */
  readonly childId: string | null;
  /** When its wait is over, by the store's clock; null is never. */
  readonly until: EpochMs | null;
  /** Milliseconds left until then when this was read; null where there is no such moment. */
  readonly leftMs: number | null;
  /** Its place in the order in which results were given to the code; null until one was. */
  readonly seq: number | null;
  /** When it began. */
  readonly startedAt: EpochMs;
  /** When it ended. */
  readonly endedAt: EpochMs | null;
}

/** The result of a step that something else than its run has written, given to the code. */
export interface Accepted {
  /** Which step. */
  readonly position: number;
  /** Its place in the order. */
  readonly seq: number;
}

/** Which steps a further attempt forgets: the one whose failure ended the run, and what it led to. */
export interface Rewind {
  /** The failed step. */
  readonly step: number;
  /** Steps from this place on were called after it had failed. */
  readonly from: number;
}

/** A run as stores keep it: its job, and what a run has beside. */
export interface RunRecord {
  /** The job that it is. */
  readonly job: JobRecord;
  /** True from the moment at which its steps are to be undone. */
  readonly compensating: boolean;
  /** Why they are; null for a run that was cancelled. */
  readonly cause: Failure | null;
  /** Job of the run that started it. */
  readonly parentId: string | null;
  /** From when its time limit counts: its start, or that of its latest retry by hand. */
  readonly since: EpochMs;
  /** Steps that are open, at most 20. */
  readonly open: readonly Checkpoint[];
}

/** What a run waits for. */
export interface WaitingFor {
  /** Name of the step. */
  readonly step: string;
  /** `retry` is the next attempt of a step that failed. */
  readonly kind: "sleep" | "event" | "child" | "retry";
  /** Names of the events. */
  readonly events: readonly string[];
  /** Key of the events. */
  readonly key: string | null;
  /** The child run. */
  readonly childRunId: string | null;
  /** Until when; null is for as long as it takes. */
  readonly until: Date | null;
}

/** A run as users see it: a plain snapshot, changed by nobody. */
export interface Run<Input = Json> {
  /** `run_…`, sortable by time of creation. */
  readonly id: string;
  /** Its job; the suffix is the same. */
  readonly jobId: string;
  /** Name of the workflow. */
  readonly name: string;
  /** Version of the workflow, for the whole life of the run. */
  readonly version: number;
  /** Where it is in its life. */
  readonly state: RunState;
  /** Its input. */
  readonly input: Input;
  /** What the handler returned; `null` until then. */
  readonly output: Json;
  /** Message of the failure that ended it, or that it is compensating for. */
  readonly error: string | null;
  /** What it waits for, at most 20 of them; empty while it runs. */
  readonly waitingFor: readonly WaitingFor[];
  /** Queue of its job. */
  readonly queue: string;
  /** Tenant. */
  readonly scope: Scope;
  /** The run that started it. */
  readonly parentRunId: string | null;
  /** When it was started. */
  readonly startedAt: Date;
  /** When it reached its final state. */
  readonly completedAt: Date | null;
}

/** Where a run is, by its job. */
export function runStateOf({ job, compensating }: RunRecord): RunState {
  switch (job.state) {
    case "completed":
    case "failed":
    case "cancelled":
      return job.state;
    default:
      return compensating ? "compensating" : "running";
  }
}

/** Turns a record into what users see. */
export function toRun(record: RunRecord): Run {
  const { job, cause, parentId } = record;
  const waits = job.state === "pending" || job.state === "retrying";
  return {
    id: withPrefix("run", job.id),
    jobId: job.id,
    ...parseRunName(job.name),
    state: runStateOf(record),
    input: decodeJson(job.payload) as Json,
    output: job.result === null ? null : decodeJson(job.result) as Json,
    error: (job.failure ?? cause)?.message ?? null,
    waitingFor: waits ? record.open.map(toWaitingFor) : [],
    queue: job.queue,
    scope: job.scope,
    parentRunId: parentId === null ? null : withPrefix("run", parentId),
    startedAt: new Date(job.createdAt),
    completedAt: toDate(job.completedAt),
  };
}

function toWaitingFor({ name, kind, events, key, childId, until }: Checkpoint): WaitingFor {
  return {
    step: name,
    kind: kind === "sleep" || kind === "event" || kind === "child" ? kind : "retry",
    events,
    key,
    childRunId: childId === null ? null : withPrefix("run", childId),
    until: toDate(until),
  };
}

/** A step of a run as users see it. */
export interface RunStep {
  /** Its name, numbered where it was used before. */
  readonly name: string;
  /** What it does. */
  readonly kind: StepKind;
  /** `open` while it waits. */
  readonly state: "open" | "completed" | "failed";
  /** Times that it was tried. */
  readonly attempt: number;
  /** What it returned; `null` until then. */
  readonly result: Json;
  /** Message of its failure, or of that of its latest attempt. */
  readonly error: string | null;
  /** What it waits for, while it is open. */
  readonly waitingFor: WaitingFor | null;
  /** The child run that it started. */
  readonly childRunId: string | null;
  /** When it began. */
  readonly startedAt: Date;
  /** When it ended. */
  readonly endedAt: Date | null;
}

/** Turns a checkpoint into what users see. */
export function toRunStep(checkpoint: Checkpoint): RunStep {
  const { childId, result, failure } = checkpoint;
  return {
    name: checkpoint.name,
    kind: checkpoint.kind,
    state: checkpoint.state,
    attempt: checkpoint.attempt,
    result: result === null ? null : decodeJson(result) as Json,
    error: failure?.message ?? null,
    waitingFor: checkpoint.state === "open" ? toWaitingFor(checkpoint) : null,
    childRunId: childId === null ? null : withPrefix("run", childId),
    startedAt: new Date(checkpoint.startedAt),
    endedAt: toDate(checkpoint.endedAt),
  };
}
