import { type Duration, type Moment, parseDuration, parseMoment } from "../core/duration.ts";
import { DispatchError, invalidOption, show } from "../core/errors.ts";
import { newId } from "../core/id.ts";
import type { NewJob, Scope } from "../core/job.ts";
import { decodeJson, encodeJson } from "../core/json.ts";
import { checkJobName, checkQueue, isLabel, suggest } from "../core/name.ts";
import { validate } from "../core/schema.ts";
import { type AnyJobDefinition, checkCount, checkNoRun, checkPriority } from "./definition.ts";

/** What may be said of one job when it is enqueued; the rest comes from its definition. */
export interface EnqueueOptions {
  /** Queue to wait in. */
  queue?: string;
  /** Higher runs first within its queue. */
  priority?: number;
  /** Not before this moment. Exclusive with `delay`. */
  runAt?: Moment;
  /** Not before so long from now, by the store's clock. Exclusive with `runAt`. */
  delay?: Duration;
  /** Failures that are retried before the job goes to the dead letters. */
  maxRetries?: number;
  /** How long one attempt may take; 0 is no limit. */
  timeout?: Duration;
  /**
   * While an unfinished job of the same name has this key, no second one is made: that job is
   * returned in its place. At most 500 characters.
   */
  uniqueKey?: string;
  /** Labels: at most 50, each of at most 200 characters. */
  tags?: readonly string[];
  /** Tenant. */
  scope?: Scope;
  /**
   * Your own open transaction of the store's database (of postgres.js, node-postgres, @db/postgres or
   * PGlite), or atomic operation of its Deno KV: the job exists exactly when it commits. Hooks are not told, since nobody knows whether
   * it does.
   */
  tx?: unknown;
}

/** One item of {@link Engine.enqueueMany}. */
export interface EnqueueItem {
  /** A definition or its name. */
  job: AnyJobDefinition | string;
  /** Its input. */
  input?: unknown;
  /** As for `enqueue`. */
  options?: EnqueueOptions;
}

const NO_TAGS: readonly string[] = [];
const NO_SCOPE: Scope = {};

/**
 * Makes the record of a new job, or says what is wrong with it. The input is stored as it was given,
 * not as the schema transformed it: the schema is applied again before the handler runs.
 */
export function buildJob(
  name: string,
  definition: AnyJobDefinition | undefined,
  input: unknown,
  options: EnqueueOptions,
  maxPayloadBytes: number,
): NewJob | Promise<NewJob> {
  if (definition?.workflow === undefined) checkNoRun(checkJobName(name));
  if (options.runAt !== undefined && options.delay !== undefined) {
    throw invalidOption("Cannot enqueue with both runAt and delay", "Give one of the two.");
  }
  const job: NewJob = {
    id: newId("job"),
    name,
    queue: options.queue === undefined ? definition?.queue ?? "default" : checkQueue(options.queue),
    priority: options.priority === undefined
      ? definition?.priority ?? 0
      : checkPriority(options.priority, "priority"),
    payload: encodeJson(input, "the payload", maxPayloadBytes),
    maxRetries: options.maxRetries === undefined
      ? definition?.maxRetries ?? 3
      : checkCount(options.maxRetries, "maxRetries"),
    timeoutMs: options.timeout === undefined
      ? definition?.timeoutMs ?? 0
      : parseDuration(options.timeout, "timeout"),
    delayMs: options.delay === undefined ? 0 : parseDuration(options.delay, "delay"),
    runAt: options.runAt === undefined ? null : parseMoment(options.runAt, "runAt"),
    uniqueKey: options.uniqueKey === undefined ? null : checkUniqueKey(options.uniqueKey),
    tags: options.tags === undefined ? NO_TAGS : checkTags(options.tags),
    scope: options.scope === undefined ? NO_SCOPE : checkScope(options.scope),
  };
  if (definition?.input === undefined) return job;
  // Not the input but what will be read back is checked: a Date that comes back as a text, or
  // undefined as null, would pass here and then never run.
  const isPlain = typeof input !== "object" && input !== undefined;
  const checked = validate(definition.input, isPlain ? input : decodeJson(job.payload), name);
  return checked instanceof Promise ? checked.then(() => job) : job;
}

/** A name that `strictNames` refuses. */
export function unknownJob(name: string, known: Iterable<string>): DispatchError {
  return new DispatchError("unknown_job", `Cannot enqueue ${show(name)}: no such job`, {
    hint: suggest(name, [...known]),
  });
}

/** Makes the records of many jobs; the message of an error names the position. */
export async function buildMany(
  items: readonly EnqueueItem[],
  build: (item: EnqueueItem) => NewJob | Promise<NewJob>,
): Promise<NewJob[]> {
  const jobs: NewJob[] = [];
  for (const [i, item] of items.entries()) {
    try {
      if (item.options?.tx !== undefined) throw oneTransaction();
      const built = build(item);
      jobs.push(built instanceof Promise ? await built : built);
    } catch (error) {
      if (!(error instanceof DispatchError)) throw error;
      const { code, message, hint } = error;
      throw new DispatchError(code, `Cannot enqueue item ${i}: ${message}`, { hint, cause: error });
    }
  }
  return jobs;
}

/** An item of `enqueueMany` that brings a transaction along: they are written together or not at all. */
function oneTransaction(): DispatchError {
  return invalidOption(
    "it has a transaction of its own",
    "Pass tx beside the items: enqueueMany(items, { tx }).",
  );
}

function checkUniqueKey(key: unknown): string {
  if (isLabel(key, 500)) return key;
  throw invalidOption(
    `Cannot use ${show(key)} as a unique key`,
    "Expected a text of 1 to 500 characters, without NUL.",
  );
}

function checkTags(tags: unknown): readonly string[] {
  const fits = Array.isArray(tags) && tags.length <= 50 &&
    tags.every((tag) => isLabel(tag, 200));
  if (fits) return [...tags]; // the write may come after the caller has changed them
  throw invalidOption(
    `Cannot use ${show(tags)} as tags`,
    "Expected at most 50 texts of 1 to 200 characters, without NUL.",
  );
}

function checkScope(scope: Scope): Scope {
  const isPart = (part: unknown) => part === undefined || isLabel(part, 200);
  if (typeof scope === "object" && scope !== null && isPart(scope.appId) && isPart(scope.orgId)) {
    const { appId, orgId } = scope;
    return { ...(appId !== undefined && { appId }), ...(orgId !== undefined && { orgId }) };
  }
  throw invalidOption(
    `Cannot use ${show(scope)} as a scope`,
    "Expected { appId, orgId }, each a text of 1 to 200 characters or left out.",
  );
}
