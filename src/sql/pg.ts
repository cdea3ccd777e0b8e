import { parserOf } from "./columns.ts";
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
import { type ListenConnection, listener } from "./listener.ts";
import { createMutex } from "./mutex.ts";
import { SqlError, toSqlError } from "./sql_error.ts";
import { statementName } from "./statement_name.ts";

interface Query {
  text: string;
  name?: string;
  values?: readonly SqlParam[];
  queryMode?: "extended";
  types?: { getTypeParser(oid: number): (text: string) => unknown };
}

interface QueryResult {
  readonly command: string;
  readonly rows: unknown[];
}

/** The part of a `pg.Client` that is used here; one out of a pool has `release`. */
export interface PgClient {
  query(query: Query | string): Promise<QueryResult>;
  connect(): Promise<unknown>;
  end(): Promise<void>;
  on(event: string, listener: (detail: never) => void): unknown;
  removeListener(event: string, listener: (detail: never) => void): unknown;
  release?(destroy?: boolean): void;
  getTransactionStatus?(): string | null;
}

/** The part of a `pg.Pool` that is used here. */
export interface PgPool {
  connect(): Promise<PgClient>;
  readonly options: Record<string, unknown>;
  readonly totalCount: number;
  readonly Client: new (options: Record<string, unknown>) => PgClient;
  on(event: "error", listener: (error: Error) => void): unknown;
  removeListener(event: "error", listener: (error: Error) => void): unknown;
}

/** node-postgres, as a pool or as one client that is connected. */
export const pg: SqlAdapter = {
  client: "node-postgres (npm:pg): Pool or Client",
  accepts: (handle) => isPool(handle) || isClient(handle),
  driver: (handle, options) =>
    isPool(handle) ? poolDriver(handle, options) : clientDriver(handle as PgClient, options),
  transaction(handle, options) {
    if (!isClient(handle)) return null;
    if (handle.getTransactionStatus?.() === "I") {
      throw new SqlError("Cannot use the client as a transaction: it has not begun one", {
        sqlState: "25P01",
        transient: false,
        uncertain: false,
      });
    }
    return { handle, ...executor(handle, options) };
  },
};

function isPool(handle: object): handle is PgPool {
  const { connect, query, totalCount, Client } = handle as Partial<PgPool & PgClient>;
  return typeof connect === "function" && typeof query === "function" &&
    typeof totalCount === "number" && typeof Client === "function";
}

function isClient(handle: object): handle is PgClient {
  const { connect, query, on, totalCount } = handle as Partial<PgPool & PgClient>;
  return typeof connect === "function" && typeof query === "function" && typeof on === "function" &&
    totalCount === undefined;
}

const types = { getTypeParser: (oid: number): (text: string) => unknown => parserOf(oid) };

/** A connection that breaks while nobody listens for its "error" ends the process. */
const ignore = (): void => {};

function executor(client: PgClient, options: SqlOptions, giveUp = ignore): SqlExecutor {
  const limit = limitOf(options);
  const name = options.session === false ? () => undefined : statementName;
  return {
    async query<Row extends object>(text: string, values: readonly SqlParam[] = []) {
      const query: Query = { text, name: name(text), values, queryMode: "extended", types };
      return (await withLimit(limit, client.query(query), giveUp)).rows as Row[];
    },
    async script(text) {
      try {
        await client.query(text);
      } catch (error) {
        throw toSqlError(error);
      }
    },
  };
}

/** Commits what `work` has done, or rolls it back. */
async function transact<T>(
  client: PgClient,
  options: SqlOptions,
  work: (tx: SqlTransaction) => Promise<T>,
  giveUp = ignore,
): Promise<T> {
  const run = executor(client, options, giveUp);
  const command = (text: string) => withLimit(limitOf(options), client.query(text), giveUp);
  await command("BEGIN");
  const tx = endable({ handle: client, ...run });
  let result: T;
  try {
    result = await work(tx);
  } catch (error) {
    tx.end("was rolled back");
    // Where this fails the connection is broken, which rolls back as well.
    await withLimit(5000, client.query("ROLLBACK"), ignore).catch(ignore);
    throw error;
  }
  tx.end("was committed");
  if ((await command("COMMIT")).command === "COMMIT") return result;
  throw new SqlError("Cannot commit: a statement of the transaction had failed", {
    sqlState: "25P02",
    transient: false,
    uncertain: false,
  });
}

/** A connection out of a pool, which goes back once, or is closed if it cannot be trusted. */
function lease(pool: PgPool): {
  readonly client: Promise<PgClient>;
  discard(): void;
  giveBack(): void;
} {
  let over = false;
  let broken = false;
  const onError = () => void (broken = true);
  const end = (client: PgClient) => {
    client.release?.(broken);
    // After the release, by when the pool listens again, and a closed one may still emit.
    if (!broken) client.removeListener("error", onError);
  };
  const client = pool.connect().then((client) => {
    client.on("error", onError);
    if (!over) return client;
    end(client);
    return new Promise<never>(() => {}); // whoever waited has been told by the time limit
  });
  const giveBack = () => {
    if (over) return;
    over = true;
    client.then(end, ignore);
  };
  return { client, giveBack, discard: () => ((broken = true), giveBack()) };
}

function poolDriver(pool: PgPool, options: SqlOptions): SqlDriver {
  const limit = limitOf(options);
  const subscriptions = new Set<() => Promise<void>>();
  pool.on("error", ignore);

  async function use<T>(work: (client: PgClient, discard: () => void) => Promise<T>): Promise<T> {
    const { client, discard, giveBack } = lease(pool);
    try {
      return await work(await withLimit(limit, client, discard), discard);
    } catch (error) {
      if (error instanceof SqlError && spoils(error)) discard();
      throw error;
    } finally {
      giveBack();
    }
  }

  return {
    name: "pg",
    single: pool.options.max === 1,
    query: (text, params) =>
      use((client, discard) => executor(client, options, discard).query(text, params)),
    script: (text) => use((client) => executor(client, options).script(text)),
    transaction: (work) => use((client, discard) => transact(client, options, work, discard)),
    ...(options.session !== false && {
      listen(channel, onNotify, onListening) {
        const stop = listener(() => listenOn(pool, channel, onNotify), onListening);
        subscriptions.add(stop);
        return () => (subscriptions.delete(stop), stop());
      },
    }),
    async close() {
      pool.removeListener("error", ignore);
      await Promise.all([...subscriptions].map((stop) => stop()));
      subscriptions.clear();
    },
  };
}

/** Whether a connection is closed rather than given back: it broke, or keeps a stale plan. */
function spoils(error: SqlError): boolean {
  return error.uncertain || error.sqlState === "0A000";
}

/** Listens over a connection beside the pool: one of the pool's would be missing there for ever. */
async function listenOn(
  pool: PgPool,
  channel: string,
  onNotify: (payload: string) => void,
): Promise<ListenConnection> {
  const client = new pool.Client(pool.options);
  const lost = new Promise<void>((resolve) => {
    client.on("error", () => resolve());
    client.on("end", () => resolve());
  });
  client.on("notification", (message: { channel: string; payload?: string }) => {
    if (message.channel === channel) onNotify(message.payload ?? "");
  });
  const close = () => client.end().catch(ignore);
  try {
    await client.connect();
    await client.query(`LISTEN ${quoted(channel)}`);
  } catch (error) {
    await close();
    throw error;
  }
  return { lost, close, ping: () => client.query("SELECT 1") };
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** One client has one connection, which cannot come back: fit for scripts, not for servers. */
function clientDriver(client: PgClient, options: SqlOptions): SqlDriver {
  const mutex = createMutex();
  const run = executor(client, options);
  const stops = new Set<() => Promise<void>>();
  client.on("error", ignore);
  return {
    name: "pg",
    single: true,
    query: (text, params) => mutex(() => run.query(text, params)),
    script: (text) => mutex(() => run.script(text)),
    transaction: (work) => mutex(() => transact(client, options, work)),
    listen(channel, onNotify, onListening) {
      const notified = (message: { channel: string; payload?: string }) => {
        if (message.channel === channel) onNotify(message.payload ?? "");
      };
      client.on("notification", notified);
      mutex(() => run.script(`LISTEN ${quoted(channel)}`)).then(onListening, ignore);
      const stop = async () => {
        if (!stops.delete(stop)) return;
        client.removeListener("notification", notified);
        await mutex(() => run.script(`UNLISTEN ${quoted(channel)}`)).catch(ignore);
      };
      stops.add(stop);
      return stop;
    },
    async close() {
      await Promise.all([...stops].map((stop) => stop()));
      client.removeListener("error", ignore);
    },
  };
}
