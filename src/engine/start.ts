import { type Duration, type Moment, parseDuration, parseMoment } from "../core/duration.ts";
import { invalidOption, show } from "../core/errors.ts";
import { type Event, toEvent } from "../core/event.ts";
import { newId } from "../core/id.ts";
import type { JobRecord, NewJob, Scope } from "../core/job.ts";
import { encodeJson } from "../core/json.ts";
import { isLabel } from "../core/name.ts";
import { jobIdOf, type RunRecord } from "../core/run.ts";
import { type Run, toRun } from "../core/run_view.ts";
import { checkStepName } from "../core/workflow_name.ts";
import type { AnyWorkflowDefinition } from "../workflow/definition.ts";
import { runInfo } from "./lifecycle.ts";
import type { RunEngine } from "./run_engine.ts";

/** What may be said of one run when it is started; the rest comes from its workflow. */
export interface StartOptions {
  /** `run_…`, for who wants to know it before: a run that has it already is returned. */
  id?: string;
  /**
   * While an unfinished run of the same workflow, of whatever version, has this key, no second one is
   * started: that run is returned in its place. At most 500 characters.
   */
  uniqueKey?: string;
  /** Queue to wait in. */
  queue?: string;
  /** Higher runs first within its queue. */
  priority?: number;
  /** Not before this moment. Exclusive with `delay`. */
  runAt?: Moment;
  /** Not before so long from now, by the store's clock. Exclusive with `runAt`. */
  delay?: Duration;
  /** Labels: at most 50, each of at most 200 characters. */
  tags?: readonly string[];
  /** Tenant. */
  scope?: Scope;
  /** Your own open transaction of the store's database: the run exists exactly when it commits. */
  tx?: unknown;
}

/** What may be said of an event. */
export interface EventOptions {
  /** While an event of this name with this key is kept, no second one is taken: that one is returned. */
  idempotencyKey?: string;
}

/** Starts a run: its job is enqueued, together with whatever else is enqueued at the moment. */
export async function startRun(
  engine: RunEngine,
  workflow: AnyWorkflowDefinition | string,
  input: unknown,
  { id, ...options }: StartOptions,
): Promise<Run> {
  const { machinery, lifecycle } = engine;
  const built = await engine.build(workflow, input, options);
  const job: NewJob = {
    ...built,
    id: id === undefined ? built.id : jobIdOf(id),
    timeoutMs: built.timeoutMs === 0 ? 0 : built.timeoutMs + delayOf(options),
  };
  if (id !== undefined) {
    const known = await engine.get(job.id);
    if (known !== null) return toRun(known);
  }
  if (options.tx !== undefined) {
    const [record] = await machinery.transactions().enqueue(options.tx, [job], id === undefined);
    return toRun(freshRun(record));
  }
  // Another process may have started it since with the same id, and a worker runs it by now.
  const record = await (id === undefined ? machinery.enqueue(job) : engine.startOnce(job));
  if (record.id !== job.id) return toRun(await engine.get(record.id) ?? freshRun(record));
  lifecycle.tell("onWorkflowStarted", runInfo(record));
  return toRun(freshRun(record));
}

/** Sends an event to one run, or to all that wait for it. */
export async function publish(
  engine: RunEngine,
  name: string,
  payload: unknown,
  { key, idempotencyKey }: EventOptions & { key?: string },
  runId: string | null,
): Promise<Event> {
  const { maxPayloadBytes } = engine.machinery.store;
  const event = {
    id: newId("evt"),
    jobId: runId === null ? null : jobIdOf(runId),
    name: checkStepName(name),
    key: checkKey(key, "the key"),
    payload: encodeJson(payload, "the payload of the event", maxPayloadBytes),
    idempotencyKey: checkKey(idempotencyKey, "the idempotency key"),
  };
  return toEvent(await engine.keep(event));
}

/** A run that was just started, and of which nothing is known beside its job. */
function freshRun(job: JobRecord): RunRecord {
  return {
    job,
    compensating: false,
    cause: null,
    parentId: null,
    since: job.createdAt,
    open: [],
  };
}

/** The time limit of a run counts from when it may first run. */
function delayOf({ runAt, delay }: StartOptions): number {
  if (delay !== undefined) return parseDuration(delay, "delay");
  return runAt === undefined ? 0 : Math.max(0, parseMoment(runAt, "runAt") - Date.now());
}

function checkKey(key: unknown, what: string): string | null {
  if (key === undefined) return null;
  if (isLabel(key, 200)) return key;
  throw invalidOption(
    `Cannot use ${show(key)} as ${what} of an event`,
    "Expected a text of 1 to 200 characters, without NUL.",
  );
}
