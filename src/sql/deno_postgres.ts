import { OID, parseInt8, parserOf } from "./columns.ts";
import {
  limitOf,
  type SqlAdapter,
  type SqlDriver,
  type SqlExecutor,
  type SqlOptions,
  type SqlParam,
  type SqlTransaction,
  type SqlValue,
} from "./driver.ts";
import { inlineParams } from "./inline.ts";
import { endable, withLimit } from "./limit.ts";
import { createMutex } from "./mutex.ts";
import { notSent, SqlError, toSqlError } from "./sql_error.ts";

interface Result {
  readonly rows: readonly (readonly unknown[])[];
  readonly rowDescription?: {
    readonly columns: readonly { readonly name: string; readonly typeOid: number }[];
  };
}

/** What a client and a transaction have in common, as far as it is used here. */
interface Scope {
  queryArray(query: { text: string }): Promise<Result>;
}

/** The part of a transaction that is used here. */
export interface DenoTransaction extends Scope {
  begin(): Promise<void>;
  commit(): Promise<void>;
  rollback(): Promise<void>;
  savepoint(name: string): Promise<unknown>;
}

/** The part of a `Client` that is used here; one out of a pool has `release`. */
export interface DenoClient extends Scope {
  readonly connected: boolean;
  readonly session: { readonly current_transaction: string | null };
  connect(): Promise<void>;
  end(): Promise<void>;
  createTransaction(name: string): DenoTransaction;
  release?(): void;
}

/** The part of a `Pool` that is used here. */
export interface DenoPool {
  connect(): Promise<DenoClient & { release(): void }>;
  readonly available: number;
  readonly size: number;
}

/** `@db/postgres` for Deno. It prepares nothing, and cannot listen: whoever uses it polls. */
export const denoPostgres: SqlAdapter = {
  client: "@db/postgres (jsr:@db/postgres): Pool or Client",
  accepts: (handle) => isPool(handle) || isClient(handle),
  driver: (handle, options) =>
    isPool(handle) ? poolDriver(handle, options) : clientDriver(handle as DenoClient, options),
  transaction: (handle, options) =>
    isTransaction(handle) ? { handle, ...executor(handle, options) } : null,
};

function isPool(handle: object): handle is DenoPool {
  return "available" in handle && "size" in handle && "connect" in handle && !("query" in handle);
}

function isClient(handle: object): handle is DenoClient {
  return "queryArray" in handle && "createTransaction" in handle;
}

function isTransaction(handle: object): handle is DenoTransaction {
  return "queryArray" in handle && "savepoint" in handle && "rollback" in handle;
}

const ignore = (): void => {};

function executor(scope: Scope, options: SqlOptions, giveUp = ignore): SqlExecutor {
  return {
    async query<Row extends object>(text: string, params: readonly SqlParam[] = []) {
      const statement = scope.queryArray({ text: inlineParams(text, params) });
      return decode(await withLimit(limitOf(options), statement, giveUp)) as Row[];
    },
    async script(text) {
      try {
        await scope.queryArray({ text });
      } catch (error) {
        throw toSqlError(error);
      }
    },
  };
}

function decode({ rows, rowDescription }: Result): Record<string, SqlValue>[] {
  const columns = (rowDescription?.columns ?? []).map(({ name, typeOid }) => {
    const parse = parserOf(typeOid);
    // It reads int8 as a bigint and leaves float8 as text; all is text with decodeStrategy "string".
    const read = (value: unknown): SqlValue => {
      if (typeof value === "string") return parse(value);
      return typeOid === OID.int8 && value !== null
        ? parseInt8(value as bigint)
        : value as SqlValue;
    };
    return { name, read };
  });
  return rows.map((values) => {
    const row: Record<string, SqlValue> = {};
    columns.forEach(({ name, read }, i) => void (row[name] = read(values[i])));
    return row;
  });
}

const PREFIX = "dispatch_";
let transactions = 0;

/** The first failure ends a transaction of this client by itself; it then only has to be noticed. */
async function transact<T>(
  client: DenoClient,
  options: SqlOptions,
  work: (tx: SqlTransaction) => Promise<T>,
  giveUp = ignore,
): Promise<T> {
  const name = `${PREFIX}${++transactions}`;
  const own = client.createTransaction(name);
  let stuck = false; // a rollback would wait for the statement that was given up
  const isOpen = () => !stuck && client.session.current_transaction === name;
  const abandon = () => ((stuck = true), giveUp());
  await withLimit(limitOf(options), own.begin(), abandon);
  const tx = endable({ handle: own, ...executor(own, options, abandon) });
  let result: T;
  try {
    result = await work(tx);
  } catch (error) {
    tx.end("was rolled back");
    if (isOpen()) await own.rollback().catch(ignore);
    throw error;
  }
  tx.end("was committed");
  if (!isOpen()) {
    throw new SqlError("Cannot commit: a statement of the transaction had failed", {
      sqlState: "25P02",
      transient: false,
      uncertain: false,
    });
  }
  await withLimit(limitOf(options), own.commit(), abandon);
  return result;
}

/** A client that must not be used on as it is: it broke, or is still locked by its transaction. */
function isSpoilt(client: DenoClient, error: unknown): boolean {
  return error instanceof SqlError && error.uncertain ||
    client.session.current_transaction !== null;
}

/**
 * Disconnects a client, after which it connects again when it is used. Where the connection broke
 * under a write, `end()` fails and the client goes on believing that it is connected: only its
 * `connect()` closes the dead socket, and does so only where `connected` says no.
 */
async function disconnect(client: DenoClient): Promise<void> {
  await client.end().catch(ignore);
  if (!client.connected) return;
  Object.defineProperty(client, "connected", { value: false, configurable: true });
  try {
    await client.connect();
  } catch {
    // By now it knows that it is not.
  } finally {
    delete (client as { connected?: boolean }).connected;
  }
}

/**
 * A pool loses a client for good when it cannot connect it. So during an outage one client is held
 * back, and only when that has connected are others asked for.
 */
function poolDriver(pool: DenoPool, options: SqlOptions): SqlDriver {
  let probe: DenoClient | null = null;
  let probing: Promise<void> | null = null;
  let failures = 0;

  async function acquire(): Promise<DenoClient> {
    if (probe !== null) await (probing ??= reconnect(probe).finally(() => probing = null));
    return await pool.connect();
  }

  async function reconnect(client: DenoClient): Promise<void> {
    const delay = Math.min(3000, 50 * 2 ** failures++) * (0.5 + Math.random() / 2);
    await new Promise((resolve) => setTimeout(resolve, delay));
    if (!client.connected) await client.connect();
    failures = 0;
    probe = null;
    client.release?.();
  }

  async function release(client: DenoClient, spoilt: boolean): Promise<void> {
    if (!spoilt) return client.release?.();
    const isProbe = probe === null;
    if (isProbe) probe = client;
    await disconnect(client);
    if (!isProbe) client.release?.();
  }

  async function use<T>(work: (client: DenoClient, giveUp: () => void) => Promise<T>): Promise<T> {
    const arriving = acquire();
    const client = await withLimit(limitOf(options), arriving, () => {
      arriving.then((late) => late.release?.(), ignore);
    }).catch((error) => {
      throw notSent(error);
    });
    let spoilt = false;
    try {
      return await work(client, () => spoilt = true);
    } catch (error) {
      spoilt ||= isSpoilt(client, error);
      throw error;
    } finally {
      void release(client, spoilt);
    }
  }

  return {
    name: "@db/postgres",
    single: pool.size === 1,
    query: (text, params) =>
      use((client, giveUp) => executor(client, options, giveUp).query(text, params)),
    script: (text) => use((client) => executor(client, options).script(text)),
    transaction: <T>(work: (tx: SqlTransaction) => Promise<T>) =>
      use((client, giveUp) => transact(client, options, work, giveUp)),
    async close() {
      await probing?.catch(ignore);
      (probe as DenoClient | null)?.release?.();
    },
  };
}

function clientDriver(client: DenoClient, options: SqlOptions): SqlDriver {
  const mutex = createMutex();
  const use = <T>(work: (giveUp: () => void) => Promise<T>) =>
    mutex(async () => {
      let spoilt = false;
      try {
        if (!client.connected) await client.connect();
      } catch (error) {
        throw notSent(error);
      }
      try {
        return await work(() => spoilt = true);
      } catch (error) {
        if (spoilt || isSpoilt(client, error)) await disconnect(client);
        throw error;
      }
    });
  return {
    name: "@db/postgres",
    single: true,
    query: (text, params) => use((giveUp) => executor(client, options, giveUp).query(text, params)),
    script: (text) => use(() => executor(client, options).script(text)),
    transaction: <T>(work: (tx: SqlTransaction) => Promise<T>) =>
      use((giveUp) => transact(client, options, work, giveUp)),
    close: () => Promise.resolve(),
  };
}
