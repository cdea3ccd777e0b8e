import { type JobRecord, type NewJob, newRecord } from "../../core/job.ts";
import type { SqlExecutor, SqlParam } from "../../sql/driver.ts";
import { SqlError } from "../../sql/sql_error.ts";
import { arrayOf, textArray } from "./array.ts";
import type { Database } from "./database.ts";
import { encodeKey, encodeLabels, type RecordRow, toRecord } from "./rows.ts";
import type { Statements } from "./statements.ts";
import { fromUuid, unchecked } from "./uuid.ts";

/** Holders of a unique key that finish before they can be read make room: then it is tried again. */
const MAX_TRIES = 20;

/** Where jobs are added: in the caller's transaction, or in the database by itself. */
type Executor = Pick<SqlExecutor, "query"> & Partial<Pick<Database, "ahead">>;

/**
 * Adds jobs with one statement. Its answer is a single moment: all else is known here, and reading
 * back a thousand rows cost as much as inserting them.
 *
 * @param fresh nobody has sent these before: no job of their ids runs
 * @param takeTurn asked of jobs that are {@link areAlike | alike}: on which channel they tell others of
 * themselves
 */
export function enqueue(
  executor: Executor,
  sql: Statements,
  now: string | null,
  jobs: readonly NewJob[],
  fresh: boolean,
  takeTurn: () => string | null = () => null,
): Promise<JobRecord[]> {
  if (jobs.length === 0) return Promise.resolve([]);
  if (!fresh || jobs.some((job) => job.uniqueKey !== null)) {
    return enqueueOnce(executor, sql, now, jobs);
  }
  return insert(executor, sql, now, jobs, takeTurn).then(
    ([{ t }]) => jobs.map((job) => newRecord(job, t)),
    (error) => {
      if (!isUniqueViolation(error)) throw error;
      return enqueueOnce(executor, sql, now, jobs); // some of them are there already
    },
  );
}

/** Adds jobs that are not there yet, and have no unique key. */
function insert(
  executor: Executor,
  sql: Statements,
  now: string | null,
  jobs: readonly NewJob[],
  takeTurn: () => string | null,
): Promise<{ t: number }[]> {
  if (!areAlike(jobs)) {
    const counts = counted(jobs.map((job) => job.queue));
    return executor.query(sql.enqueue, [...parameters(now, jobs), ...counts]);
  }
  const [job] = jobs;
  if (jobs.length > 1 || now !== null || !isPlain(job)) {
    return executor.query(sql.enqueueAlike, alike(now, jobs, takeTurn()));
  }
  const params = [unchecked(job.id), job.payload, job.name, job.queue];
  const channel = takeTurn();
  if (channel === null) return executor.query(sql.enqueueOne, params);
  params.push(channel);
  if (executor.ahead === undefined) return executor.query(sql.enqueueAndTell, params);
  return executor.ahead(sql.enqueueAhead, params, {
    flush: sql.flush,
    flushParams: [job.queue],
    otherwise: sql.enqueueAndTell,
  });
}

/**
 * Adds jobs of which some have unique keys, or are there already. Those that run are looked for; of
 * the others the indexes decide: an insert that meets another one which is not committed yet waits
 * for it. Whoever came first is read by a second statement, which sees what was committed meanwhile.
 */
async function enqueueOnce(
  executor: Pick<SqlExecutor, "query">,
  sql: Statements,
  now: string | null,
  jobs: readonly NewJob[],
): Promise<JobRecord[]> {
  const records = new Array<JobRecord | undefined>(jobs.length);
  let open = jobs.map((_, i) => i);
  for (let tries = 0; open.length > 0; tries++) {
    if (tries === MAX_TRIES) throw new Error("Cannot enqueue: a unique key changes hands too fast");
    const asked = open.map((i) => jobs[i]);
    const [answer] = await executor.query<{ t: number; added: string | null }>(
      sql.enqueueUnique,
      parameters(now, asked),
    ).catch((error) => {
      if (!isUniqueViolation(error)) throw error;
      return []; // one of them began to run meanwhile, and is found the next time
    });
    if (answer === undefined) continue;
    const { t, added } = answer;
    const ids = new Set(added?.split(",").map((id) => fromUuid("job", id)));
    for (const i of open) {
      // The first of two with the same id in one call is the one that was added.
      if (ids.delete(jobs[i].id)) records[i] = newRecord(jobs[i], t);
    }
    open = open.filter((i) => records[i] === undefined);
    if (open.length === 0) break;
    const holders = await executor.query<RecordRow & { ord: number }>(sql.holders, [
      textArray(open.map((i) => jobs[i].name)),
      textArray(open.map((i) => encodeKey(jobs[i].uniqueKey))),
      arrayOf(open.map((i) => unchecked(jobs[i].id))),
    ]);
    for (const row of holders) records[open[row.ord - 1]] = toRecord(row);
    open = open.filter((i) => records[i] === undefined);
  }
  return records as JobRecord[];
}

/** Whether a statement would have made a second job with an identifier or a unique key. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof SqlError && error.sqlState === "23505";
}

/** Whether jobs differ in nothing but their payload, as those of one caller mostly do. */
function areAlike(jobs: readonly NewJob[]): boolean {
  const [first] = jobs;
  return jobs.every((job) =>
    job.uniqueKey === null && job.runAt === null && job.name === first.name &&
    job.queue === first.queue && job.priority === first.priority &&
    job.maxRetries === first.maxRetries && job.timeoutMs === first.timeoutMs &&
    job.delayMs === first.delayMs && encodeLabels(job.tags, job.scope) === null
  );
}

/** Whether a job has the default options. */
function isPlain({ priority, maxRetries, timeoutMs, delayMs }: NewJob): boolean {
  return priority === 0 && maxRetries === 3 && timeoutMs === 0 && delayMs === 0;
}

function alike(now: string | null, jobs: readonly NewJob[], channel: string | null): SqlParam[] {
  const { name, queue, priority, maxRetries, timeoutMs, delayMs } = jobs[0];
  return [
    now,
    arrayOf(jobs.map((job) => unchecked(job.id))),
    textArray(jobs.map((job) => job.payload)),
    ...[name, queue, priority, maxRetries, String(timeoutMs), String(delayMs)],
    ...[channel, jobs.length],
  ];
}

function parameters(now: string | null, jobs: readonly NewJob[]): SqlParam[] {
  return [
    now,
    arrayOf(jobs.map((job) => unchecked(job.id))),
    textArray(shortened(jobs.map((job) => job.name))),
    textArray(shortened(jobs.map((job) => job.queue))),
    arrayOf(shortened(jobs.map((job) => job.priority))),
    textArray(jobs.map((job) => job.payload)),
    arrayOf(shortened(jobs.map((job) => job.maxRetries))),
    arrayOf(shortened(jobs.map((job) => job.timeoutMs))),
    arrayOf(shortened(jobs.map((job) => job.delayMs))),
    arrayOf(nullable(jobs.map((job) => job.runAt))),
    textArray(nullable(jobs.map((job) => encodeKey(job.uniqueKey)))),
    textArray(nullable(jobs.map((job) => encodeLabels(job.tags, job.scope)))),
  ];
}

/** One value for all jobs, where it is the same. */
function shortened<Value>(values: Value[]): Value[] {
  return values.every((value) => value === values[0]) ? [values[0]] : values;
}

/** No value at all, where no job has one. */
function nullable<Value>(values: Value[]): Value[] {
  return values.every((value) => value === null) ? [] : values;
}

/** The distinct queues, and how many jobs go to each. */
function counted(queues: readonly string[]): [string, string] {
  const counts = new Map<string, number>();
  for (const queue of queues) counts.set(queue, (counts.get(queue) ?? 0) + 1);
  return [textArray([...counts.keys()]), arrayOf([...counts.values()])];
}
