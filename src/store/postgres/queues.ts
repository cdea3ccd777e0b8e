import type { Queue, QueueSettings } from "../../core/queue.ts";
import type { QueueStore } from "../store.ts";
import type { Database } from "./database.ts";
import { toCounts } from "./rows.ts";
import type { Statements } from "./statements.ts";
import type { Wake } from "./wake.ts";

interface QueueRow {
  readonly name: string;
  readonly paused: boolean | null;
  readonly concurrency: number | null;
  readonly state: string | null;
  readonly n: number;
}

/** The queues of a Postgres store. */
export class PostgresQueues implements QueueStore {
  readonly #database: Database;
  readonly #sql: Statements;
  readonly #wake: Wake;

  constructor(database: Database, sql: Statements, wake: Wake) {
    this.#database = database;
    this.#sql = sql;
    this.#wake = wake;
  }

  async list(): Promise<Queue[]> {
    const queues = new Map<string, QueueRow[]>();
    for (const row of await this.#database.query<QueueRow>(this.#sql.queues, [])) {
      const rows = queues.get(row.name);
      if (rows === undefined) queues.set(row.name, [row]);
      else rows.push(row);
    }
    return [...queues].map(([name, rows]) => ({
      name,
      paused: rows[0].paused ?? false,
      concurrency: rows[0].concurrency,
      counts: toCounts(rows.flatMap(({ state, n }) => state === null ? [] : { state, n })),
    })).sort((a, b) => a.name < b.name ? -1 : 1);
  }

  async configure(name: string, { paused, concurrency }: Partial<QueueSettings>): Promise<void> {
    await this.#database.query(this.#sql.configure, [
      name,
      paused ?? null,
      concurrency !== undefined,
      concurrency ?? null,
    ]);
    this.#wake.send([name]);
  }
}
