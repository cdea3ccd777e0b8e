import type { Clock } from "../../core/clock.ts";
import type { Logger } from "../../core/logger.ts";
import { toSqlDriver } from "../../sql/detect.ts";
import { openPostgres } from "../../sql/open.ts";
import type { Store } from "../store.ts";
import { Database } from "./database.ts";
import { PostgresDeadLetters } from "./dead_letters.ts";
import { PostgresEvents } from "./events.ts";
import { PostgresJobs } from "./jobs.ts";
import { apply, requireCurrent } from "./migrations.ts";
import { PostgresQueues } from "./queues.ts";
import { runStatements } from "./run_statements.ts";
import { PostgresRuns } from "./runs.ts";
import { statements } from "./statements.ts";
import { PostgresTransactions } from "./transactions.ts";
import { Wake } from "./wake.ts";

/** What {@link postgresStore} takes. */
export interface PostgresStoreOptions {
  /** Schema of this installation; one database may have several. Default `"dispatch"`. */
  schema?: string;
  /** False sends and awaits no NOTIFY: workers poll. Default true. */
  notify?: boolean;
  /**
   * False neither prepares statements nor listens, as a pooler in transaction mode demands. Default
   * true.
   */
  session?: boolean;
  /** Milliseconds until a statement is given up. Default 30,000. */
  statementTimeoutMs?: number;
  /** Connections at most, for a URL; one more listens. Default 10. */
  maxConnections?: number;
  /** Largest payload or result in bytes of JSON. Default 1 MiB. */
  maxPayloadBytes?: number;
  /** A test's clock. Default: the database's, whatever the machines' say. */
  clock?: Clock;
  /** Where outages of the database are told. Default: nowhere. */
  logger?: Logger;
}

/**
 * A store in PostgreSQL: durable, and shared by any number of processes.
 *
 * @param client a `postgres://` URL, which the store opens and closes, or a client of postgres.js,
 * node-postgres, @db/postgres or PGlite, which stays the caller's
 * @throws {DispatchError} `unsupported_client`, `invalid_option`
 */
export function postgresStore(
  client: string | object,
  options: PostgresStoreOptions = {},
): Store {
  const { schema = "dispatch", notify = true, maxPayloadBytes = 2 ** 20, clock, ...rest } = options;
  const driver = typeof client === "string" ? null : toSqlDriver(client, rest);
  const database = new Database(
    schema,
    clock,
    () => driver === null ? openPostgres(client as string, rest) : Promise.resolve(driver),
  );
  const sql = statements(`"${schema}"`);
  const wake = new Wake(database, notify && rest.session !== false, clock);
  const runSql = runStatements(`"${schema}"`);
  const jobs = new PostgresJobs(database, sql, runSql, wake);
  return {
    name: "postgres",
    durable: true,
    maxPayloadBytes,
    jobs,
    deadLetters: new PostgresDeadLetters(database, sql, wake, jobs),
    queues: new PostgresQueues(database, sql, wake),
    runs: new PostgresRuns(database, runSql, wake, jobs),
    events: new PostgresEvents(database, runSql, wake),
    transactions: new PostgresTransactions(database, sql, wake, rest),
    migrate: async () => void await apply(await database.driver(), schema),
    checkSchema: async () => await requireCurrent(await database.driver(), schema),
    ping: async () => void await database.query("select 1 as one", []),
    async close() {
      await wake.close();
      await database.close();
    },
    onWake: (waker) => wake.listen(waker),
  };
}
