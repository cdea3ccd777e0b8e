import type { JobRecord, NewJob } from "../../core/job.ts";
import type { JsonText } from "../../core/json.ts";
import type { Lease } from "../../core/lease.ts";
import { toSqlTransaction } from "../../sql/detect.ts";
import type { SqlOptions } from "../../sql/driver.ts";
import type { StoreTransactions } from "../store.ts";
import type { Database } from "./database.ts";
import { enqueue } from "./enqueue.ts";
import { settle } from "./settle.ts";
import type { Statements } from "./statements.ts";
import type { Wake } from "./wake.ts";

/** Rolls a transaction back whose lease was lost. */
class LeaseLost extends Error {}

/** What a Postgres store does in transactions that hold writes of its user's as well. */
export class PostgresTransactions implements StoreTransactions {
  readonly #database: Database;
  readonly #sql: Statements;
  readonly #wake: Wake;
  readonly #options: SqlOptions;

  constructor(database: Database, sql: Statements, wake: Wake, options: SqlOptions) {
    this.#database = database;
    this.#sql = sql;
    this.#wake = wake;
    this.#options = options;
  }

  async enqueue(tx: unknown, jobs: readonly NewJob[], fresh = true): Promise<JobRecord[]> {
    const executor = toSqlTransaction(tx, this.#options);
    const records = await enqueue(executor, this.#sql, this.#database.now, jobs, fresh);
    await this.#wake.sendWith(executor, records.map((job) => job.queue));
    return records;
  }

  /**
   * The job is settled last: its row would otherwise be locked for as long as the user's statements
   * take, and the heartbeat would wait for it.
   */
  async complete(
    lease: Lease,
    work: (tx: unknown) => Promise<JsonText>,
  ): Promise<"settled" | "lost"> {
    const driver = await this.#database.driver();
    try {
      const wake = await driver.transaction(async (tx) => {
        const outcome = { kind: "complete", result: await work(tx.handle) } as const;
        const { statuses, wake } = await settle(tx, this.#sql, this.#database.now, [{
          lease,
          outcome,
        }]);
        if (statuses[0] === "lost") throw new LeaseLost();
        return wake;
      });
      this.#wake.send(wake);
      return "settled";
    } catch (error) {
      if (error instanceof LeaseLost) return "lost";
      throw error;
    }
  }
}
