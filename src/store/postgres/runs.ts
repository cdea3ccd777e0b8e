import { notFound, wrongState } from "../../core/errors.ts";
import { isId, withPrefix } from "../../core/id.ts";
import type { Lease } from "../../core/lease.ts";
import { type Checkpoint, noRuns, type RunCounts, type RunRecord } from "../../core/run.ts";
import type { RunState } from "../../core/run.ts";
import type { SqlParam } from "../../sql/driver.ts";
import type {
  CheckpointQuery,
  RunQuery,
  RunRest,
  RunStore,
  StepStatus,
  StepWait,
  StepWrite,
  UnservedRuns,
} from "../run_store.ts";
import type { Page } from "../store.ts";
import { arrayOf, textArray } from "./array.ts";
import type { Database } from "./database.ts";
import { isUniqueViolation } from "./enqueue.ts";
import { notACursor, type PostgresJobs } from "./jobs.ts";
import { decodeFailure, encodeLabels } from "./rows.ts";
import {
  acceptedOf,
  type RestRow,
  type RunRow,
  type Sent,
  STEP_STATE,
  type StepRow,
  toCheckpoint,
  toRunRecord,
  toSend,
} from "./run_rows.ts";
import type { RunStatements } from "./run_statements.ts";
import { toUuid, unchecked } from "./uuid.ts";
import type { Wake } from "./wake.ts";

const STATUSES: Record<string, StepStatus> = { s: "saved", k: "kept", l: "lost" };

/** Before the first position: that of a compensation is negative. */
const FIRST = -2_147_483_648;

/** The runs of a Postgres store. */
export class PostgresRuns implements RunStore {
  readonly #database: Database;
  readonly #sql: RunStatements;
  readonly #wake: Wake;
  readonly #jobs: PostgresJobs;

  constructor(database: Database, sql: RunStatements, wake: Wake, jobs: PostgresJobs) {
    this.#database = database;
    this.#sql = sql;
    this.#wake = wake;
    this.#jobs = jobs;
  }

  async get(jobIds: readonly string[]): Promise<(RunRecord | null)[]> {
    const uuids = jobIds.map((id) => isId("job", id) ? toUuid(id) : null);
    const known = [...new Set(uuids)].filter((uuid) => uuid !== null);
    const records = known.length === 0 ? [] : await this.#read(this.#sql.get, [arrayOf(known)]);
    const byId = new Map(records.map((record) => [record.job.id, record]));
    return jobIds.map((id) => byId.get(id) ?? null);
  }

  /** Of a run that was never claimed before there is nothing to read. */
  async resume(jobIds: readonly string[], limit: number): Promise<RunRest[]> {
    const rests = jobIds.map(() => ({
      compensating: false,
      cause: null as RunRest["cause"],
      since: null as number | null,
      checkpoints: [] as Checkpoint[],
    }));
    const params = [this.#database.now, arrayOf(jobIds.map(toUuid)), limit];
    for (const row of await this.#database.query<RestRow>(this.#sql.resume, params)) {
      const rest = rests[row.ord - 1];
      rest.compensating = row.compensating ?? false;
      rest.cause ??= decodeFailure(row.cause);
      rest.since = row.since;
      if (row.position !== null) rest.checkpoints.push(toCheckpoint(row));
    }
    return rests;
  }

  async list(query: RunQuery): Promise<Page<RunRecord>> {
    const { state, name, parentId, limit, offset, cursor } = query;
    if (cursor !== undefined && !isId("job", cursor)) throw notACursor(cursor);
    const records = await this.#read(this.#sql.list, [
      state ?? null,
      name ?? null,
      parentId === undefined ? null : toUuid(parentId),
      cursor === undefined ? null : toUuid(cursor),
      limit + 1,
      offset,
    ]);
    const items = records.slice(0, limit);
    const more = records.length > limit && items.length > 0;
    return { items, nextCursor: more ? items[items.length - 1].job.id : null };
  }

  async counts(): Promise<RunCounts> {
    const counts = noRuns();
    const rows = await this.#database.query<{ state: RunState; n: number }>(this.#sql.counts, []);
    for (const { state, n } of rows) counts[state] += n;
    counts.running -= counts.compensating;
    return counts;
  }

  async save(writes: readonly StepWrite[]): Promise<StepStatus[]> {
    const statuses = new Array<StepStatus>(writes.length).fill("lost");
    const sent = toSend(writes);
    if (sent.length === 0) return statuses;
    const items = sent.map(({ item }) => item);
    const params: SqlParam[] = [
      ...leases(this.#database.now, sent),
      arrayOf(items.map(({ position }) => position)),
      textArray(items.map(({ name }) => name)),
      textArray(items.map(({ kind }) => kind)),
      textArray(items.map(({ state }) => STEP_STATE[state])),
      arrayOf(items.map(({ attempt }) => attempt)),
      textArray(items.map(({ result }) => result)),
      textArray(items.map(({ failure }) => failure === null ? null : JSON.stringify(failure))),
      arrayOf(items.map(({ delayMs }) => delayMs)),
      arrayOf(items.map(({ seq }) => seq)),
      arrayOf(items.map(({ elapsedMs }) => elapsedMs)),
      arrayOf(items.map(({ child }) => child === undefined ? null : unchecked(child.id))),
      ...acceptedOf(sent),
    ];
    const children = items.some(({ child }) => child !== undefined);
    const text = children ? this.#sql.saveChildren : this.#sql.save;
    const [{ answer }] = await this.#database.query<{ answer: string }>(
      text,
      children ? [...params, ...childrenOf(items)] : params,
    );
    sent.forEach(({ at }, i) => statuses[at] = STATUSES[answer[i]]);
    if (children) {
      this.#wake.send(
        sent.flatMap(({ item: { child }, at }) =>
          child !== undefined && statuses[at] === "saved" ? [child.queue] : []
        ),
      );
    }
    return statuses;
  }

  async wait(waits: readonly StepWait[]): Promise<(Checkpoint | null)[]> {
    const found = new Array<Checkpoint | null>(waits.length).fill(null);
    const sent = toSend(waits);
    if (sent.length === 0) return found;
    const items = sent.map(({ item }) => item);
    const rows = await this.#database.query<StepRow & { ord: number }>(this.#sql.wait, [
      ...leases(this.#database.now, sent),
      arrayOf(items.map(({ position }) => position)),
      textArray(items.map(({ name }) => name)),
      textArray(items.map(({ kind }) => kind)),
      textArray(items.map(({ events }) => JSON.stringify(events))),
      textArray(items.map(({ key }) => key)),
      arrayOf(items.map(({ delayMs }) => delayMs)),
      arrayOf(items.map(({ until }) => until)),
      ...acceptedOf(sent),
    ]);
    for (const row of rows) found[sent[row.ord - 1].at] = toCheckpoint(row);
    return found;
  }

  async checkpoints(queries: readonly CheckpointQuery[]): Promise<Checkpoint[][]> {
    const found = queries.map((): Checkpoint[] => []);
    for (const pending of [false, true]) {
      const asked = queries.flatMap((query, at) => {
        const uuid = query.pending === pending ? toUuid(query.jobId) : null;
        return uuid === null ? [] : [{ ...query, uuid, at }];
      });
      if (asked.length === 0) continue;
      const rows = await this.#database.query<StepRow & { ord: number }>(
        pending ? this.#sql.pending : this.#sql.checkpoints,
        [
          this.#database.now,
          arrayOf(asked.map(({ uuid }) => uuid)),
          arrayOf(asked.map(({ after }) => after ?? FIRST)),
          arrayOf(asked.map(({ limit }) => limit)),
        ],
      );
      for (const row of rows) found[asked[row.ord - 1].at].push(toCheckpoint(row));
    }
    return found;
  }

  async compensate(jobId: string): Promise<RunRecord> {
    const params = [this.#database.now, toUuid(jobId)];
    const [record] = await this.#read(this.#sql.compensate, params);
    if (record === undefined) {
      return await this.#refuse("cancel", jobId, "a run that has not ended");
    }
    this.#wake.send([record.job.queue]);
    return record;
  }

  async rewind(jobId: string, from: number): Promise<RunRecord> {
    let record: RunRecord | undefined;
    try {
      const params = [this.#database.now, toUuid(jobId), from];
      [record] = await this.#read(this.#sql.rewind, params);
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      const [run] = await this.get([jobId]);
      const id = withPrefix("run", jobId);
      if (run === null) throw notFound("run", id);
      const { name, uniqueKey } = run.job;
      throw await this.#jobs.conflict("replay", "run", id, name, uniqueKey);
    }
    if (record === undefined) {
      return await this.#refuse("replay", jobId, "a run that is not executing");
    }
    this.#wake.send([record.job.queue]);
    return record;
  }

  async unserved(jobNames: readonly string[], dueForMs: number): Promise<UnservedRuns[]> {
    const rows = await this.#database.query<{ name: string; n: number }>(this.#sql.unserved, [
      this.#database.now,
      textArray(jobNames),
      String(dueForMs),
    ]);
    return rows.map(({ name, n }) => ({ jobName: name, runs: n }));
  }

  /** Runs with what they wait for. */
  async #read(text: string, params: readonly SqlParam[]): Promise<RunRecord[]> {
    const rows = await this.#database.query<RunRow>(text, params);
    if (rows.length === 0) return [];
    const open = new Map<string, Checkpoint[]>();
    for (
      const step of await this.#database.query<StepRow>(this.#sql.open, [
        this.#database.now,
        arrayOf(rows.map(({ id }) => id)),
      ])
    ) {
      const steps = open.get(step.run) ?? [];
      open.set(step.run, steps);
      steps.push(toCheckpoint(step));
    }
    return rows.map((row) => toRunRecord(row, open.get(row.id) ?? []));
  }

  async #refuse(verb: string, jobId: string, allowed: string): Promise<never> {
    const [run] = await this.get([jobId]);
    const id = withPrefix("run", jobId);
    if (run === null) throw notFound("run", id);
    throw wrongState(verb, "run", id, run.job.state, allowed);
  }
}

function leases(now: string | null, sent: readonly Sent<{ readonly lease: Lease }>[]): SqlParam[] {
  return [
    now,
    arrayOf(sent.map(({ uuid }) => uuid)),
    arrayOf(sent.map(({ item }) => item.lease.token)),
  ];
}

function childrenOf(items: readonly StepWrite[]): SqlParam[] {
  const children = items.map(({ child }) => child);
  return [
    textArray(children.map((child) => child?.name ?? null)),
    textArray(children.map((child) => child?.queue ?? null)),
    arrayOf(children.map((child) => child?.priority ?? null)),
    textArray(children.map((child) => child?.payload ?? null)),
    arrayOf(children.map((child) => child?.maxRetries ?? null)),
    arrayOf(children.map((child) => child?.timeoutMs ?? null)),
    textArray(
      children.map((child) => child === undefined ? null : encodeLabels(child.tags, child.scope)),
    ),
  ];
}
