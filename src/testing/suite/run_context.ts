import { assertEquals, assertExists } from "@std/assert";
import { newId } from "../../core/id.ts";
import type { JobRecord, NewJob } from "../../core/job.ts";
import type { ClaimedJob, Lease } from "../../core/lease.ts";
import type { JobOutcome, Outcome } from "../../core/outcome.ts";
import type { Checkpoint, RunRecord } from "../../core/run.ts";
import type {
  EventStore,
  RunStore,
  StepStatus,
  StepWait,
  StepWrite,
  Store,
} from "../../store/store.ts";
import type { NewEvent } from "../../core/event.ts";
import { type CaseContext, newJob } from "./context.ts";

/** Name of the jobs of the workflow that cases run. */
export const ORDER = "workflow/order@1";

/** The job of a run. */
export function newRun(fields: Partial<NewJob> = {}): NewJob {
  return newJob({ name: ORDER, ...fields });
}

/** The parts that workflows need. */
export function partsOf(store: Store): { runs: RunStore; events: EventStore } {
  const { runs, events } = store;
  assertExists(runs, "the store keeps no runs");
  assertExists(events, "the store keeps no events");
  return { runs, events };
}

/** Starts a run and claims it. */
export async function running(t: CaseContext, fields: Partial<NewJob> = {}): Promise<ClaimedJob> {
  const [job] = await t.store.jobs.enqueue([newRun(fields)]);
  return await t.claimOnly(job.id);
}

/** A step that has completed, apart from what is named. */
export function step(lease: Lease, fields: Partial<StepWrite> = {}): StepWrite {
  const state = fields.state ?? "completed";
  return {
    lease,
    accepted: [],
    position: 0,
    name: "charge",
    kind: "run",
    state,
    attempt: 1,
    result: state === "completed" ? '{"paid":true}' : null,
    failure: null,
    delayMs: null,
    seq: state === "open" ? null : (fields.position ?? 0) + 1,
    elapsedMs: 0,
    ...fields,
  };
}

/** Remembers one step. */
export async function save(t: CaseContext, write: StepWrite): Promise<StepStatus> {
  const [status] = await partsOf(t.store).runs.save([write]);
  return status;
}

/** A step that waits for an event, apart from what is named. */
export function waiting(lease: Lease, fields: Partial<StepWait> = {}): StepWait {
  return {
    lease,
    accepted: [],
    position: 0,
    name: "paid",
    kind: "event",
    events: ["paid"],
    key: null,
    delayMs: null,
    until: null,
    ...fields,
  };
}

/** Has one step wait. */
export async function wait(
  t: CaseContext,
  lease: Lease,
  fields: Partial<StepWait> = {},
  store = t.store,
): Promise<Checkpoint | null> {
  const [checkpoint] = await partsOf(store).runs.wait([waiting(lease, fields)]);
  return checkpoint;
}

/** An event that all may take, apart from what is named. */
export function newEvent(fields: Partial<NewEvent> = {}): NewEvent {
  return {
    id: newId("evt"),
    jobId: null,
    name: "paid",
    key: null,
    payload: '{"amount":5}',
    idempotencyKey: null,
    ...fields,
  };
}

/** Sends one event. */
export async function publish(t: CaseContext, fields: Partial<NewEvent> = {}, store = t.store) {
  const [event] = await partsOf(store).events.publish([newEvent(fields)]);
  return event;
}

/** The outcome of a run whose steps wait. */
export function parked(fields: Partial<Extract<Outcome, { kind: "park" }>> = {}): Outcome {
  return { kind: "park", timed: [], deadline: null, accepted: [], ...fields };
}

/** Starts a child of a claimed run, whose step there waits for it. */
export async function startChild(
  t: CaseContext,
  parent: Lease,
  fields: Partial<StepWrite> = {},
): Promise<JobRecord> {
  const child = fields.child ?? newRun({ id: newId("job") });
  const write = step(parent, { kind: "child", name: "label", state: "open", ...fields, child });
  assertEquals(await save(t, write), "saved");
  return await t.job(child.id);
}

/** Reads a run that must exist. */
export async function readRun(t: CaseContext, jobId: string, store = t.store): Promise<RunRecord> {
  const [run] = await partsOf(store).runs.get([jobId]);
  assertExists(run, `run ${jobId} is gone`);
  return run;
}

/** Reads all that is remembered of a run. */
export async function steps(
  t: CaseContext,
  jobId: string,
  store = t.store,
): Promise<Checkpoint[]> {
  const [found] = await partsOf(store).runs.checkpoints([
    { jobId, after: null, limit: 1000, pending: false },
  ]);
  return found;
}

/** Outcomes that end a job. */
export const FINAL_OUTCOMES: readonly JobOutcome[] = [
  { kind: "complete", result: '{"label":1}' },
  { kind: "dead", failure: { code: "step_failed", message: "no paper" } },
  { kind: "cancel", reason: "not wanted" },
];
