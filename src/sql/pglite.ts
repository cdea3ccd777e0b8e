import { OID, type Parse, parserOf } from "./columns.ts";
import {
  limitOf,
  type SqlAdapter,
  type SqlDriver,
  type SqlExecutor,
  type SqlOptions,
  type SqlParam,
  type SqlTransaction,
} from "./driver.ts";
import { endable, withLimit } from "./limit.ts";
import { toSqlError } from "./sql_error.ts";

/** What PGlite and a transaction of it have in common, as far as it is used here. */
interface Scope {
  query(
    text: string,
    params: SqlParam[],
    options: { parsers: Record<number, Parse> },
  ): Promise<{ rows: unknown[] }>;
  exec(text: string): Promise<unknown>;
}

/** PGlite, as far as it is used here. */
export interface PGliteClient extends Scope {
  readonly waitReady: Promise<void>;
  transaction<T>(work: (tx: Scope) => Promise<T>): Promise<T>;
  listen(channel: string, onNotify: (payload: string) => void): Promise<unknown>;
  unlisten(channel: string, onNotify: (payload: string) => void): Promise<void>;
}

/** PGlite: Postgres within the process, with one connection, which it queues for by itself. */
export const pglite: SqlAdapter = {
  client: "PGlite (npm:@electric-sql/pglite)",
  accepts: (handle) => "waitReady" in handle && "exec" in handle && "transaction" in handle,
  driver: (handle, options) => pgliteDriver(handle as PGliteClient, options),
  transaction: (handle, options) =>
    isTransaction(handle) ? { handle, ...executor(handle, options) } : null,
};

function isTransaction(handle: object): handle is Scope {
  return "exec" in handle && "query" in handle && "rollback" in handle && !("waitReady" in handle);
}

/** These have parsers of PGlite's own unless they are given here. */
const parsers = Object.fromEntries(
  [...Object.values(OID), 114, 3802, 1082, 1114, 1184, 17].map((oid) => [oid, parserOf(oid)]),
);

function executor(scope: Scope, options: SqlOptions): SqlExecutor {
  return {
    async query<Row extends object>(text: string, params: readonly SqlParam[] = []) {
      // Nothing can be freed when the time is up: what runs, runs in this very thread.
      const statement = scope.query(text, [...params], { parsers });
      return (await withLimit(limitOf(options), statement, () => {})).rows as Row[];
    },
    async script(text) {
      try {
        await scope.exec(text);
      } catch (error) {
        throw toSqlError(error);
      }
    },
  };
}

function pgliteDriver(db: PGliteClient, options: SqlOptions): SqlDriver {
  const subscriptions = new Set<() => Promise<void>>();
  return {
    name: "pglite",
    single: true,
    ...executor(db, options),
    transaction: <T>(work: (tx: SqlTransaction) => Promise<T>) => transact(db, options, work),
    listen(channel, onNotify, onListening) {
      const quoted = `"${channel}"`; // what listen() returns would forget the quotes
      const listening = db.listen(quoted, onNotify);
      listening.then(onListening, () => {});
      const stop = async () => {
        if (!subscriptions.delete(stop)) return;
        await listening.then(() => db.unlisten(quoted, onNotify)).catch(() => {});
      };
      subscriptions.add(stop);
      return stop;
    },
    async close() {
      await Promise.all([...subscriptions].map((stop) => stop()));
    },
  };
}

async function transact<T>(
  db: PGliteClient,
  options: SqlOptions,
  work: (tx: SqlTransaction) => Promise<T>,
): Promise<T> {
  let thrown: { readonly error: unknown } | undefined;
  try {
    return await db.transaction(async (scope) => {
      const tx = endable({ handle: scope, ...executor(scope, options) });
      try {
        return await work(tx);
      } catch (error) {
        thrown = { error };
        throw error;
      } finally {
        tx.end("has ended");
      }
    });
  } catch (error) {
    if (thrown !== undefined && thrown.error === error) throw error;
    throw toSqlError(error);
  }
}
