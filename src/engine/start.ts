import { type Duration, type Moment, parseDuration, parseMoment } from "../core/duration.ts";
import { DispatchError, show } from "../core/errors.ts";
import { type Event, toEvent } from "../core/event.ts";
import { checkId, newId } from "../core/id.ts";
import type { NewJob, Scope } from "../core/job.ts";
import { encodeJson } from "../core/json.ts";
import { checkStepName, isLabel } from "../core/name.ts";
import { type Run, toRun } from "../core/run.ts";
import type { AnyJobDefinition } from "./definition.ts";
import { buildJob } from "./enqueue.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Machinery } from "./machinery.ts";
import { requireRuns, runInfo, type RunSupport } from "./run_support.ts";
import { freshRun, jobIdOf } from "./runs.ts";

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
  machinery: Machinery,
  lifecycle: Lifecycle,
  definition: AnyJobDefinition,
  input: unknown,
  { id, ...options }: StartOptions,
): Promise<Run> {
  const support = supportOf(machinery);
  const built = await buildJob(
    definition.name,
    definition,
    input,
    options,
    machinery.store.maxPayloadBytes,
  );
  const job: NewJob = {
    ...built,
    id: id === undefined ? built.id : jobIdOf(id),
    timeoutMs: built.timeoutMs === 0 ? 0 : built.timeoutMs + delayOf(options),
  };
  if (id !== undefined) {
    const known = await support.get(job.id);
    if (known !== null) return toRun(known);
  }
  if (options.tx !== undefined) {
    const [record] = await machinery.transactions().enqueue(options.tx, [job]);
    return toRun(freshRun(record));
  }
  const record = await machinery.enqueue(job);
  if (record.id !== job.id) return toRun(await support.get(record.id) ?? freshRun(record));
  lifecycle.emitRun("onWorkflowStarted", runInfo(record));
  return toRun(freshRun(record));
}

/** Sends an event to one run, or to all that wait for it. */
export async function publish(
  started: () => Machinery,
  name: string,
  payload: unknown,
  { key, idempotencyKey }: EventOptions & { key?: string },
  runId: string | null,
): Promise<Event> {
  const machinery = started();
  const support = supportOf(machinery);
  const event = {
    id: newId("evt"),
    jobId: runId === null ? null : jobIdOf(checkId("run", runId)),
    name: checkStepName(name),
    key: checkKey(key, "the key"),
    payload: encodeJson(payload, "the payload of the event", machinery.store.maxPayloadBytes),
    idempotencyKey: checkKey(idempotencyKey, "the idempotency key"),
  };
  return toEvent(await support.publish(event));
}

function supportOf({ store, runs }: Machinery): RunSupport {
  requireRuns(store);
  return runs!;
}

/** The time limit of a run counts from when it may first run. */
function delayOf({ runAt, delay }: StartOptions): number {
  if (delay !== undefined) return parseDuration(delay, "delay");
  return runAt === undefined ? 0 : Math.max(0, parseMoment(runAt, "runAt") - Date.now());
}

function checkKey(key: unknown, what: string): string | null {
  if (key === undefined) return null;
  if (isLabel(key, 200)) return key;
  throw new DispatchError("invalid_option", `Cannot use ${show(key)} as ${what} of an event`, {
    hint: "Expected a text of 1 to 200 characters, without NUL.",
  });
}
