import { OID, parseInt8, parserOf } from "./columns.ts";
import type { Deadlines } from "./deadlines.ts";
import type { SqlExecutor, SqlParam } from "./driver.ts";
import { withLimit } from "./limit.ts";
import { SqlError, toSqlError } from "./sql_error.ts";

interface Column {
  readonly name: string;
  readonly type: number;
}

type Rows = Record<string, unknown>[] & { readonly columns?: readonly Column[] };

/** Rows of columns as the server has written them. */
type RawRows = (Bytes | null)[][] & { readonly columns: readonly Column[] };

interface Bytes {
  toString(encoding: "utf8"): string;
}

interface Statement extends PromiseLike<Rows> {
  raw(): PromiseLike<RawRows>;
  /** What `cancel()` calls, whose failure it leaves unhandled, which ends the process. */
  canceller?: ((statement: Statement) => Promise<void>) | null;
}

/** How a statement is run; `onexecute` is told the connection that it is sent on. */
interface StatementOptions {
  readonly prepare?: boolean;
  readonly simple?: boolean;
  readonly onexecute?: (connection: PorsagerConnection) => boolean;
}

/** A connection of postgres.js: not documented, but the only thing that knows when it is gone. */
export interface PorsagerConnection {
  onclose: ((error: unknown) => void) | null;
  terminate(): void;
}

/** What `sql`, a reserved connection and a transaction of postgres.js have in common. */
export interface PorsagerScope {
  unsafe(text: string, params?: SqlParam[], options?: StatementOptions): Statement;
  readonly options?: Client;
}

/** The options of a client, as far as they change what comes back. */
export interface Client {
  readonly max?: number;
  readonly parsers?: Record<number, ((text: string) => unknown) | undefined>;
  readonly transform?: {
    readonly column?: { readonly from?: (name: string) => string };
    readonly value?: { readonly from?: unknown };
    readonly row?: { readonly from?: unknown };
  };
}

/** How an executor runs its statements. */
export interface Settings {
  /** Milliseconds until a statement is given up. */
  readonly limitMs: number;
  /** Those of the driver, which have that limit. */
  readonly deadlines?: Deadlines;
  /** Whether statements are prepared and kept. */
  readonly prepare: boolean;
  /** Frees what a statement holds that is given up. By default it is cancelled. */
  readonly giveUp?: (cancel: () => void) => void;
}

/** Runs statements on `sql`, or in a transaction, of a client with such options. */
export function executorOf(
  scope: PorsagerScope,
  settings: Settings,
  client: Client | undefined,
): SqlExecutor {
  const { limitMs, prepare, deadlines } = settings;
  const plain = client !== undefined && readsPlainly(client);
  return {
    query<Row extends object>(text: string, params: readonly SqlParam[] = []): Promise<Row[]> {
      // `simple: false`: a statement without parameters is prepared as well.
      const statement = scope.unsafe(text, params as SqlParam[], { prepare, simple: false });
      const giveUp = () => {
        const cancel = () => void statement.canceller?.(statement)?.catch(() => {});
        return settings.giveUp ? settings.giveUp(cancel) : cancel();
      };
      const rows = plain
        ? withLimit(limitMs, statement, giveUp, deadlines).then(int8sToNumbers)
        : withLimit(limitMs, statement.raw(), giveUp, deadlines).then((rows) =>
          decode(rows, client)
        );
      return rows as Promise<Row[]>;
    },
    async script(text) {
      try {
        await scope.unsafe(text);
      } catch (error) {
        throw toSqlError(error);
      }
    },
  };
}

/** Whether rows come back by their own names and with the values that the port promises. */
function readsPlainly({ parsers = {}, transform = {} }: Client): boolean {
  return !transform.column?.from && !transform.value?.from && !transform.row?.from &&
    parsers[25] === undefined && parsers[OID.int8] === undefined &&
    [OID.int2, OID.int4, OID.float8].every((oid) => parsers[oid]?.("7") === 7) &&
    parsers[OID.bool]?.("t") === true;
}

/** postgres.js leaves an int8 as text, and returns an array with much attached to it. */
function int8sToNumbers(rows: Rows): Record<string, unknown>[] {
  const plain = Array.from(rows);
  if (plain.length === 0) return plain;
  for (const column of rows.columns ?? []) {
    if (column.type !== OID.int8) continue;
    const { name } = column;
    for (const row of plain) {
      if (row[name] !== null) row[name] = parseInt8(row[name] as string);
    }
  }
  return plain;
}

/** Reads rows past the parsers and transformations that the user has set for their own statements. */
function decode(rows: RawRows, client: Client | undefined): Record<string, unknown>[] {
  if (rows.length === 0) return [];
  const transform = client?.transform?.column?.from;
  const columns = rows.columns.map(({ name, type }) => ({
    name: transform === undefined ? name : originalName(name, transform),
    parse: parserOf(type),
  }));
  return Array.from(rows, (values) => {
    const row: Record<string, unknown> = {};
    columns.forEach(({ name, parse }, i) => {
      const bytes = values[i];
      row[name] = bytes === null ? null : parse(bytes.toString("utf8"));
    });
    return row;
  });
}

/** Undoes `transform: postgres.camel` and its siblings: the port's names are lower snake case. */
function originalName(name: string, transform: (name: string) => string): string {
  const snake = name.replace(/^[A-Z]/, (c) => c.toLowerCase())
    .replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`).replaceAll("-", "_");
  if (transform(snake) === name) return snake;
  throw new SqlError(
    `Cannot tell which column the client's transform.column.from has made ${name} of`,
    { sqlState: null, transient: false, uncertain: false },
  );
}
