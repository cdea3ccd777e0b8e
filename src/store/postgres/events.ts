import { notFound, wrongState } from "../../core/errors.ts";
import type { EventRecord, NewEvent } from "../../core/event.ts";
import { withPrefix } from "../../core/id.ts";
import type { EventStore } from "../run_store.ts";
import { arrayOf, textArray } from "./array.ts";
import { SUSPECT_AT } from "./claim.ts";
import type { Database } from "./database.ts";
import { isUniqueViolation } from "./enqueue.ts";
import type { RunStatements } from "./run_statements.ts";
import { fromUuid, toUuid, unchecked } from "./uuid.ts";
import type { Wake } from "./wake.ts";

/** What the statement tells of an event, by its ordinal, or of a queue. */
interface PublishRow {
  readonly ord: number | null;
  readonly id: string;
  readonly created_at: number;
  readonly delivered: number;
  readonly key: string;
  readonly payload: string;
  readonly refused: string | null;
  readonly wake: string | null;
}

/** The events of a Postgres store. */
export class PostgresEvents implements EventStore {
  readonly #database: Database;
  readonly #sql: RunStatements;
  readonly #wake: Wake;

  constructor(database: Database, sql: RunStatements, wake: Wake) {
    this.#database = database;
    this.#sql = sql;
    this.#wake = wake;
  }

  /** Two that bring the same idempotency key at once may meet in the index: the second try finds it. */
  async publish(events: readonly NewEvent[]): Promise<EventRecord[]> {
    return await this.#publish(events).catch((error) => {
      if (!isUniqueViolation(error)) throw error;
      return this.#publish(events);
    });
  }

  async #publish(events: readonly NewEvent[]): Promise<EventRecord[]> {
    if (events.length === 0) return [];
    const params = [
      this.#database.now,
      arrayOf(events.map(({ id }) => unchecked(id))),
      arrayOf(events.map(({ jobId }) => jobId === null ? null : toUuid(jobId))),
      textArray(events.map(({ name }) => name)),
      textArray(events.map(({ key }) => key)),
      textArray(events.map(({ payload }) => payload)),
      textArray(events.map(({ idempotencyKey }) => idempotencyKey)),
      SUSPECT_AT,
    ];
    const driver = await this.#database.driver();
    const send = (executor: Pick<typeof driver, "query">) =>
      executor.query<PublishRow & Record<string, string | number | null>>(
        this.#sql.publish,
        params,
      );
    // One alone that is refused has changed nothing; of several, the others must not stay.
    const rows = await this.#database.retry(async () =>
      events.length === 1
        ? check(await send(driver), events)
        : await driver.transaction(async (tx) => check(await send(tx), events))
    );
    this.#wake.send(rows.flatMap(({ wake }) => wake ?? []));
    return events.map((event, i) => {
      const row = rows[i];
      return {
        ...event,
        id: fromUuid("evt", row.id),
        key: row.key === "" ? null : row.key,
        payload: row.payload,
        createdAt: row.created_at,
        delivered: row.delivered,
      };
    });
  }

  async prune(keepMs: number, limit: number): Promise<number> {
    const params = [this.#database.now, String(keepMs), limit];
    const [{ pruned }] = await this.#database.query<{ pruned: number }>(
      this.#sql.pruneEvents,
      params,
    );
    return pruned;
  }
}

/** The rows in the order of the events; throws what is wrong with the first that is refused. */
function check<Row extends PublishRow>(rows: readonly Row[], events: readonly NewEvent[]): Row[] {
  const sorted = [...rows].sort((a, b) => (a.ord ?? Infinity) - (b.ord ?? Infinity));
  for (const { ord, refused } of sorted) {
    if (ord === null || refused === null) continue;
    const id = withPrefix("run", events[ord - 1].jobId!);
    if (refused === "unknown") throw notFound("run", id);
    throw wrongState("send an event to", "run", id, refused, "a run that has not ended");
  }
  return sorted;
}
