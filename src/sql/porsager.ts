import { limitOf, type SqlAdapter, type SqlDriver, type SqlOptions } from "./driver.ts";
import { type Client, executorOf, type PorsagerScope } from "./porsager_executor.ts";
import { inTransaction } from "./porsager_transaction.ts";

/** The `sql` function of postgres.js, as far as it is used here. */
export interface PorsagerSql extends PorsagerScope {
  readonly options: Client;
  begin<T>(work: (tx: PorsagerScope) => Promise<T>): Promise<T>;
  listen(
    channel: string,
    onNotify: (payload: string) => void,
    onListening: () => void,
  ): Promise<{ unlisten(): Promise<void> }>;
}

/**
 * postgres.js as the caller has opened it: it pipelines, prepares, and listens over a connection of
 * its own.
 *
 * Version 3.4.9 has a fault that cannot be mended from outside: a connection that breaks while a
 * write is buffered never sends anything again (its teardown leaves `nextWriteTimer` set), so that
 * after an outage statements may only ever time out. What `open.ts` opens is not affected.
 *
 * Nor is it by another one: without `fetch_types: false`, a connection that opens reads the types of
 * arrays first, and nobody is there to catch that this failed. Where the server ends it just then,
 * the unhandled rejection ends the process.
 */
export const porsager: SqlAdapter = {
  client: "postgres.js (npm:postgres): sql",
  accepts: isSql,
  driver: (handle, options) => porsagerDriver(handle as PorsagerSql, options),
  transaction: (handle, options) =>
    isTransaction(handle)
      ? { handle, ...executorOf(handle, settingsOf(options), handle.options) }
      : null,
};

function isScope(handle: object): handle is PorsagerScope {
  return typeof handle === "function" && "unsafe" in handle && typeof handle.unsafe === "function";
}

function isSql(handle: object): handle is PorsagerSql {
  return isScope(handle) && "begin" in handle && typeof handle.begin === "function";
}

/** `sql.begin` hands out one with `savepoint`, `sql.reserve` one with `release`. */
function isTransaction(handle: object): handle is PorsagerScope {
  return isScope(handle) && !isSql(handle) && ("savepoint" in handle || "release" in handle);
}

function settingsOf(options: SqlOptions): { limitMs: number; prepare: boolean } {
  return {
    limitMs: limitOf(options),
    prepare: options.session !== false,
  };
}

function porsagerDriver(sql: PorsagerSql, options: SqlOptions): SqlDriver {
  const settings = settingsOf(options);
  const executorIn = (scope: PorsagerScope, abandon: () => void) => {
    const giveUp = (cancel: () => void) => (cancel(), abandon());
    return executorOf(scope, { ...settings, giveUp }, sql.options);
  };
  const subscriptions = new Set<() => Promise<void>>();
  return {
    name: "postgres.js",
    single: sql.options.max === 1,
    ...executorOf(sql, settings, sql.options),
    transaction: (work) => inTransaction(sql, work, { ...settings, executorOf: executorIn }),
    ...(options.session !== false && {
      listen(channel, onNotify, onListening) {
        const stop = subscribe(sql, channel, onNotify, onListening);
        subscriptions.add(stop);
        return () => (subscriptions.delete(stop), stop());
      },
    }),
    async close() {
      await Promise.all([...subscriptions].map((stop) => stop()));
      subscriptions.clear();
    },
  };
}

/** `sql.listen` reconnects by itself, with the back-off of `sql`, and shares one connection. */
function subscribe(
  sql: PorsagerSql,
  channel: string,
  onNotify: (payload: string) => void,
  onListening: () => void,
): () => Promise<void> {
  let stopped = false;
  const listening = sql.listen(
    channel,
    (payload) => stopped || onNotify(payload),
    () => stopped || onListening(),
  );
  // When the first attempt fails it goes on trying, without a handle to stop it by: hence `stopped`.
  listening.catch(() => {});
  return async () => {
    stopped = true;
    await listening.then((subscription) => subscription.unlisten()).catch(() => {});
  };
}
