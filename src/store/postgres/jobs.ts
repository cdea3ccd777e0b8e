import { DispatchError, notFound, uniqueConflict, wrongState } from "../../core/errors.ts";
import { isId } from "../../core/id.ts";
import type { JobCounts, JobRecord, NewJob } from "../../core/job.ts";
import type { ClaimedJob, LeaseStatus } from "../../core/lease.ts";
import { CRASH_LOOP, MAX_CRASHES } from "../../core/outcome.ts";
import type {
  ClaimRequest,
  JobQuery,
  JobStore,
  LeaseExtension,
  Page,
  RetentionAges,
  Settlement,
  SettleStatus,
} from "../store.ts";
import { arrayOf, textArray } from "./array.ts";
import { claim, SUSPECT_AT } from "./claim.ts";
import type { Database } from "./database.ts";
import { enqueue, isUniqueViolation } from "./enqueue.ts";
import { encodeKey, FINAL, type RecordRow, toCounts, toRecord } from "./rows.ts";
import type { RunStatements } from "./run_statements.ts";
import { extend, settle } from "./settle.ts";
import { isOfRun, settleWithRuns } from "./settle_runs.ts";
import type { Statements } from "./statements.ts";
import { toUuid } from "./uuid.ts";
import type { Wake } from "./wake.ts";

/** Counts are folded together when there are so many parts of them. */
const MANY_TALLIES = 5000;

/** The jobs of a Postgres store. */
export class PostgresJobs implements JobStore {
  readonly #database: Database;
  readonly #sql: Statements;
  readonly #runSql: RunStatements;
  readonly #wake: Wake;
  #prepared = false;
  /** What the last claim said of the next moment, for the question that follows it. */
  #due: { readonly of: string; readonly due: number | null } | null = null;

  constructor(database: Database, sql: Statements, runSql: RunStatements, wake: Wake) {
    this.#database = database;
    this.#sql = sql;
    this.#runSql = runSql;
    this.#wake = wake;
  }

  enqueue(jobs: readonly NewJob[], fresh = false): Promise<JobRecord[]> {
    const { now } = this.#database;
    let others: "now" | "with the next" | "told" = "now";
    const takeTurn = () => {
      const channel = this.#wake.takeTurn();
      others = channel === null ? "with the next" : "told";
      return channel;
    };
    return enqueue(this.#database, this.#sql, now, jobs, fresh, takeTurn).then((records) => {
      this.#wake.send(records.map((job) => job.queue), others);
      return records;
    });
  }

  async claim(request: ClaimRequest): Promise<ClaimedJob[]> {
    const database = this.#database;
    const { queues, names, limit } = request;
    this.#wake.note(queues);
    if (limit <= 0 || names.length === 0 || queues.length === 0) return [];
    const claiming = claim(database, this.#sql, request);
    this.#prepareToEnd();
    const { jobs, due } = await claiming;
    if (jobs.length === 0 && !request.suspects) this.#due = { of: question(queues, names), due };
    return jobs;
  }

  /** A claim that found nothing has brought the answer along, which spares half of an idle worker's statements. */
  async nextDue(queues: readonly string[], names: readonly string[]): Promise<number | null> {
    const known = this.#due;
    this.#due = null;
    if (known?.of === question(queues, names)) return known.due;
    const params = [this.#database.now, textArray(queues), textArray(names), SUSPECT_AT];
    const [{ due }] = await this.#database.query<{ due: number | null }>(this.#sql.nextDue, params);
    return due;
  }

  async extend(extensions: readonly LeaseExtension[], leaseMs: number): Promise<LeaseStatus[]> {
    return await extend(this.#database, this.#sql, extensions, leaseMs);
  }

  /**
   * Has the connection that ends jobs opened, and its statement planned, while the first claim does
   * the same: one after the other they took 10 ms each.
   */
  #prepareToEnd(): void {
    if (this.#prepared) return;
    this.#prepared = true;
    const nothing = [this.#database.now, "{}", "{}", "{}", null];
    this.#database.ending.query(this.#sql.complete, nothing).catch(() => {}); // the first end tells
  }

  async settle(settlements: readonly Settlement[]): Promise<SettleStatus[]> {
    const { ending, now } = this.#database;
    const { statuses, wake } = settlements.some(isOfRun)
      ? await settleWithRuns(ending, this.#sql, this.#runSql, now, settlements)
      : await settle(ending, this.#sql, now, settlements);
    this.#wake.send(wake);
    return statuses;
  }

  async rescue(limit: number): Promise<JobRecord[]> {
    const failure = JSON.stringify(CRASH_LOOP);
    const params = [this.#database.now, limit, MAX_CRASHES, failure];
    const rows = await this.#database.ending.query<RecordRow>(this.#sql.rescue, params);
    const rescued = rows.map(toRecord);
    this.#wake.send(rescued.map((job) => job.queue));
    return rescued;
  }

  async cancel(id: string): Promise<JobRecord> {
    const [job] = await this.#records(this.#sql.cancel, [this.#database.now, uuidOf(id)]);
    return job ?? await this.#refuse("cancel", id, "a pending, retrying or running job");
  }

  async retry(id: string): Promise<JobRecord> {
    let job: JobRecord | undefined;
    try {
      [job] = await this.#records(this.#sql.retry, [this.#database.now, uuidOf(id)]);
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      const [asked] = await this.get([id]);
      if (asked === null) throw notFound("job", id);
      throw await this.conflict("retry", "job", id, asked.name, asked.uniqueKey);
    }
    job ??= await this.#refuse("retry", id, "a failed, cancelled or retrying job");
    this.#wake.send([job.queue]);
    return job;
  }

  async remove(id: string): Promise<void> {
    const params = [uuidOf(id)];
    const [{ removed }] = await this.#database.query<{ removed: boolean }>(
      this.#sql.remove,
      params,
    );
    if (!removed) await this.#refuse("remove", id, "a job that is not running");
  }

  async get(ids: readonly string[]): Promise<(JobRecord | null)[]> {
    const uuids = ids.flatMap((id) => isId("job", id) ? toUuid(id) ?? [] : []);
    if (uuids.length === 0) return ids.map(() => null);
    const found = new Map<string, RecordRow>();
    const rows = await this.#database.query<RecordRow>(this.#sql.get, [
      arrayOf([...new Set(uuids)]),
    ]);
    for (const row of rows) found.set(row.id, row);
    return ids.map((id) => {
      const row = isId("job", id) ? found.get(toUuid(id)!) : undefined;
      return row === undefined ? null : toRecord(row);
    });
  }

  async list({ state, queue, name, limit, offset, cursor }: JobQuery): Promise<Page<JobRecord>> {
    if (cursor !== undefined && !isId("job", cursor)) throw notACursor(cursor);
    const after = cursor === undefined ? null : toUuid(cursor);
    const params = [queue ?? null, name ?? null, after, limit + 1, offset];
    const jobs = await this.#records(this.#sql.list(state), params);
    const items = jobs.slice(0, limit);
    const more = jobs.length > limit && items.length > 0;
    return { items, nextCursor: more ? items[items.length - 1].id : null };
  }

  async counts(): Promise<JobCounts> {
    const rows = await this.#database.query<{ state: string; n: number; parts: number }>(
      this.#sql.counts,
      [],
    );
    if (rows.reduce((sum, { parts }) => sum + parts, 0) > MANY_TALLIES) await this.#fold();
    return toCounts(rows);
  }

  async prune(ages: RetentionAges, limit: number): Promise<number> {
    const states = (["completed", "failed", "cancelled"] as const).filter((s) => ages[s] !== null);
    if (states.length === 0 || limit <= 0) {
      await this.#fold();
      return 0;
    }
    const [{ pruned }] = await this.#database.query<{ pruned: number }>(this.#sql.prune, [
      this.#database.now,
      arrayOf(states.map((state) => FINAL[state])),
      arrayOf(states.map((state) => ages[state])),
      limit,
    ]);
    return pruned;
  }

  /** The error for a job that cannot come back: whoever holds its key is named. */
  async conflict(
    verb: string,
    what: string,
    id: string,
    name: string,
    key: string | null,
  ): Promise<DispatchError> {
    const params = [textArray([name]), textArray([encodeKey(key)]), "{NULL}"];
    const [holder] = await this.#records(this.#sql.holders, params);
    return uniqueConflict(verb, what, id, holder?.id ?? "another job", key);
  }

  async #records(text: string, params: (string | number | null)[]): Promise<JobRecord[]> {
    return (await this.#database.query<RecordRow>(text, params)).map(toRecord);
  }

  async #refuse(verb: string, id: string, allowed: string): Promise<never> {
    const [job] = await this.get([id]);
    if (job === null) throw notFound("job", id);
    throw wrongState(verb, "job", id, job.state, allowed);
  }

  async #fold(): Promise<void> {
    await this.#database.query(this.#sql.fold, []);
  }
}

/** The refusal of a cursor that no page has given. */
export function notACursor(cursor: string): DispatchError {
  return new DispatchError("invalid_option", `Cannot go on behind ${JSON.stringify(cursor)}`, {
    hint: "A cursor is the nextCursor of the page before.",
  });
}

/** An identifier that is none names nothing: null finds no row. */
function uuidOf(id: string): string | null {
  return isId("job", id) ? toUuid(id) : null;
}

function question(queues: readonly string[], names: readonly string[]): string {
  return [[...queues].sort(), names].join("\u0000");
}
