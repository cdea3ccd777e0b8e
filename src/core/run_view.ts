/** Runs and their steps as users see them. */

import { withPrefix } from "./id.ts";
import { type Scope, toDate } from "./job.ts";
import { decodeJson, type Json } from "./json.ts";
import {
  type Checkpoint,
  parseRunName,
  type RunRecord,
  type RunState,
  type StepKind,
} from "./run.ts";

/** All states, in the order of a run's life. */
export const RUN_STATES: readonly RunState[] = [
  "running",
  "compensating",
  "completed",
  "failed",
  "cancelled",
];

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
