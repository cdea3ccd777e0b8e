import { OID, parseInt8, parserOf } from "./columns.ts";
import {
  type SqlAdapter,
  type SqlDriver,
  type SqlExecutor,
  type SqlOptions,
  type SqlParam,
  type SqlTransaction,
  STATEMENT_TIMEOUT_MS,
} from "./driver.ts";
import { endable, withLimit } from "./limit.ts";
import { SqlError, toSqlError } from "./sql_error.ts";

interface Column {
  readonly name: string;
  readonly type: number;
}

type Result = Record<string, unknown>[] & { columns?: readonly (Column | undefined)[] };

interface Statement extends PromiseLike<Result> {
  raw(): PromiseLike<(Bytes | null)[][] & { columns: readonly Column[] }>;
  cancel(): unknown;
}

interface Bytes {
  toString(encoding: "utf8"): string;
}

/** What `sql`, a reserved connection and a transaction of postgres.js have in common. */
interface Scope {
  unsafe(
    text: string,
    params?: readonly SqlParam[],
    options?: { prepare?: boolean; simple?: boolean },
  ): Statement;
  readonly options?: Options;
}

/** The part of the options of postgres.js that changes what comes back. */
interface Options {
  readonly max?: number;
  readonly parsers?: Record<number, ((text: string) => unknown) | undefined>;
  readonly transform?: {
    readonly column?: { readonly from?: (name: string) => string };
    readonly value?: { readonly from?: unknown };
    readonly row?: { readonly from?: unknown };
  };
}

/** The `sql` function of postgres.js, as far as it is used here. */
export interface PorsagerSql extends Scope {
  readonly options: Options;
  begin<T>(work: (tx: Scope) => Promise<T>): Promise<T>;
  listen(
    channel: string,
    onNotify: (payload: string) => void,
    onListening: () => void,
  ): Promise<{ unlisten(): Promise<void> }>;
}

/** postgres.js: pipelines, prepares, and listens over a connection of its own. */
export const porsager: SqlAdapter = {
  client: "postgres.js (npm:postgres): sql",
  accepts: isSql,
  driver: (handle, options) => porsagerDriver(handle as PorsagerSql, options),
  transaction: (handle, options) =>
    isTransaction(handle) ? { handle, ...executor(handle, options, handle.options) } : null,
};

function isScope(handle: unknown): handle is Scope {
  return typeof handle === "function" && typeof (handle as Partial<Scope>).unsafe === "function";
}

function isSql(handle: unknown): handle is PorsagerSql {
  return isScope(handle) && typeof (handle as Partial<PorsagerSql>).begin === "function";
}

/** `sql.begin` hands out one with `savepoint`, `sql.reserve` one with `release`. */
function isTransaction(handle: unknown): handle is Scope {
  return isScope(handle) && !isSql(handle) && ("savepoint" in handle || "release" in handle);
}

/** A driver over `sql`; it leaves `sql` open. */
export function porsagerDriver(sql: PorsagerSql, options: SqlOptions): SqlDriver {
  const subscriptions = new Set<() => Promise<void>>();
  return {
    name: "postgres.js",
    single: sql.options.max === 1,
    ...executor(sql, options, sql.options),
    transaction: (work) => transaction(sql, options, work),
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

function executor(scope: Scope, options: SqlOptions, client: Options | undefined): SqlExecutor {
  const limit = options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS;
  const prepare = options.session !== false;
  const plain = client !== undefined && readsPlainly(client);
  return {
    async query<Row extends object>(text: string, params: readonly SqlParam[] = []) {
      // `simple: false` prepares a statement without parameters as well.
      const statement = scope.unsafe(text, params, { prepare, simple: false });
      const giveUp = () => void Promise.resolve(statement.cancel()).catch(() => {});
      const rows = plain
        ? int8sToNumbers(await withLimit(limit, statement, giveUp))
        : decode(await withLimit(limit, statement.raw(), giveUp), client);
      return rows as Row[];
    },
    async script(text) {
      await Promise.resolve(scope.unsafe(text)).catch((error) => {
        throw toSqlError(error);
      });
    },
  };
}

/** Whether rows come back by their own names and with the values that the port promises. */
function readsPlainly({ parsers = {}, transform = {} }: Options): boolean {
  return !transform.column?.from && !transform.value?.from && !transform.row?.from &&
    parsers[25] === undefined && parsers[OID.int8]?.("7") !== 7n &&
    [OID.int2, OID.int4, OID.float8].every((oid) => parsers[oid]?.("7") === 7) &&
    parsers[OID.bool]?.("t") === true;
}

/** postgres.js leaves an int8 as text. */
function int8sToNumbers(result: Result): Result {
  const names = result.columns?.flatMap((column) => column?.type === OID.int8 ? column.name : []);
  if (names === undefined || names.length === 0) return result;
  for (const row of result) {
    for (const name of names) {
      if (row[name] !== null) row[name] = parseInt8(row[name] as string);
    }
  }
  return result;
}

/** Reads rows past the parsers and transformations that the user has set for statements of theirs. */
function decode(
  result: (Bytes | null)[][] & { columns: readonly Column[] },
  client: Options | undefined,
): Record<string, unknown>[] {
  if (result.length === 0) return [];
  const columns = result.columns.map(({ name, type }) => ({
    name: originalName(name, client?.transform?.column?.from),
    parse: parserOf(type),
  }));
  return result.map((values) => {
    const row: Record<string, unknown> = {};
    columns.forEach(({ name, parse }, i) => {
      const bytes = values[i];
      row[name] = bytes === null ? null : parse(bytes.toString("utf8"));
    });
    return row;
  });
}

/** Undoes `transform: postgres.camel` and its siblings: the port's names are lower snake case. */
function originalName(name: string, transform: ((name: string) => string) | undefined): string {
  if (transform === undefined) return name;
  const snake = name.replace(/^[A-Z]/, (c) => c.toLowerCase())
    .replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`).replaceAll("-", "_");
  if (transform(snake) === name) return snake;
  throw new SqlError(
    `Cannot tell which column the sql client's transform.column.from has made ${name} of`,
    { sqlState: null, transient: false, uncertain: false },
  );
}

/**
 * `sql.begin` rejects as soon as its connection breaks, but afterwards sends the rollback (and
 * whatever the callback still sends) to that same connection object, which may be closed, then the
 * process dies of a TypeError, or may by now serve someone else. So nothing is sent once it broke.
 */
async function transaction<T>(
  sql: PorsagerSql,
  options: SqlOptions,
  work: (tx: SqlTransaction) => Promise<T>,
): Promise<T> {
  let broken = false;
  let thrown: { readonly error: unknown } | null = null;
  const begun = sql.begin(async (scope) => {
    const tx = endable({ handle: scope, ...executor(scope, options, sql.options) });
    begun.catch(() => tx.end("was rolled back"));
    try {
      return await work(tx);
    } catch (error) {
      thrown = { error };
      broken ||= error instanceof SqlError && error.uncertain;
      throw error;
    } finally {
      tx.end("has ended");
      if (broken) await new Promise<never>(() => {});
    }
  });
  try {
    return await begun;
  } catch (error) {
    broken = true;
    // The callback's own error comes out as it is; one of the client's is made an SqlError.
    if (thrown !== null && (thrown as { error: unknown }).error === error) throw error;
    throw toSqlError(error);
  }
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
