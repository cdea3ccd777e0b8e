import { notFound, wrongState } from "../../core/errors.ts";
import type { DeadLetterRecord } from "../../core/dead_letter.ts";
import { isId } from "../../core/id.ts";
import type { JobRecord } from "../../core/job.ts";
import type { DeadLetterQuery, DeadLetterSelector, DeadLetterStore, Page } from "../store.ts";
import type { Database } from "./database.ts";
import { isUniqueViolation } from "./enqueue.ts";
import { notACursor, type PostgresJobs } from "./jobs.ts";
import { type LetterRow, type RecordRow, toLetter, toRecord } from "./rows.ts";
import type { Statements } from "./statements.ts";
import { toUuid } from "./uuid.ts";
import type { Wake } from "./wake.ts";

/** The dead letters of a Postgres store. */
export class PostgresDeadLetters implements DeadLetterStore {
  readonly #database: Database;
  readonly #sql: Statements;
  readonly #wake: Wake;
  readonly #jobs: PostgresJobs;

  constructor(database: Database, sql: Statements, wake: Wake, jobs: PostgresJobs) {
    this.#database = database;
    this.#sql = sql;
    this.#wake = wake;
    this.#jobs = jobs;
  }

  async get(id: string): Promise<DeadLetterRecord | null> {
    if (!isId("dlq", id)) return null;
    const [row] = await this.#database.query<LetterRow>(this.#sql.letter, [toUuid(id)]);
    return row === undefined ? null : toLetter(row);
  }

  async list(query: DeadLetterQuery): Promise<Page<DeadLetterRecord>> {
    const { limit, offset, cursor } = query;
    const after = cursor === undefined ? [null, null] : readCursor(cursor);
    const rows = await this.#database.query<LetterRow>(this.#sql.letters, [
      ...this.#filter(query),
      ...after,
      limit + 1,
      offset,
    ]);
    const items = rows.slice(0, limit).map(toLetter);
    const last = items.at(-1);
    const more = rows.length > limit && last !== undefined;
    return { items, nextCursor: more ? cursorOf(last) : null };
  }

  async count(filter: DeadLetterSelector): Promise<number> {
    const params = this.#filter(filter);
    const [{ n }] = await this.#database.query<{ n: number }>(this.#sql.countLetters, params);
    return n;
  }

  async replay(id: string, jobId: string): Promise<JobRecord> {
    const params = [this.#database.now, isId("dlq", id) ? toUuid(id) : null, toUuid(jobId)];
    try {
      const [row] = await this.#database.query<RecordRow>(this.#sql.replay, params);
      if (row !== undefined) {
        this.#wake.send([row.queue]);
        return toRecord(row);
      }
    } catch (error) {
      const letter = isUniqueViolation(error) ? await this.get(id) : null;
      if (letter === null) throw error;
      const { jobName, uniqueKey } = letter;
      throw await this.#jobs.conflict("replay", "dead letter", id, jobName, uniqueKey);
    }
    if (await this.get(id) === null) throw notFound("dead letter", id);
    const allowed = "a letter that was not replayed";
    throw wrongState("replay", "dead letter", id, "replayed already", allowed);
  }

  async purge(filter: DeadLetterSelector, limit: number): Promise<number> {
    if (limit <= 0) return 0;
    const params = [...this.#filter(filter), limit];
    return (await this.#database.query(this.#sql.purgeLetters, params)).length;
  }

  #filter({ queue, jobName, replayed, olderThanMs }: DeadLetterSelector) {
    const age = olderThanMs === undefined ? null : String(-olderThanMs);
    return [this.#database.now, queue ?? null, jobName ?? null, replayed ?? null, age];
  }
}

/** Letters are listed by the time of failure; the id makes the key unique. */
function cursorOf({ failedAt, id }: DeadLetterRecord): string {
  return failedAt.toString().padStart(16, "0") + id;
}

function readCursor(cursor: string): [string, string] {
  const id = cursor.slice(16);
  if (!/^\d{16}/.test(cursor) || !isId("dlq", id)) throw notACursor(cursor);
  return [String(Number(cursor.slice(0, 16))), toUuid(id)!];
}
