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
import { checkId, withPrefix } from "./id.ts";
import type { JobRecord } from "./job.ts";
import type { JsonText } from "./json.ts";
import type { Failure } from "./outcome.ts";

/** Where a run is in its life; the last three are final. */
export type RunState = "running" | "compensating" | "completed" | "failed" | "cancelled";

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

/**
 * The job that a run is.
 *
 * @throws {DispatchError} `invalid_id`
 */
export function jobIdOf(runId: string): string {
  return withPrefix("job", checkId("run", runId));
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
