import { DispatchError, messageOf } from "../core/errors.ts";

/** What {@link SqlError} says besides its message. */
export interface SqlErrorFields {
  /** SQLSTATE as the server sent it; `null` where the client failed before or after it. */
  readonly sqlState: string | null;
  /** True where the same statement may succeed later. */
  readonly transient: boolean;
  /** True where the statement may have taken effect nevertheless: its answer never came. */
  readonly uncertain: boolean;
  /** What the client threw. */
  readonly cause?: unknown;
}

/**
 * A statement that failed, whichever client ran it. Its code is `store_unreachable` while the
 * database cannot be used at all, else `internal`.
 */
export class SqlError extends DispatchError {
  /** SQLSTATE as the server sent it; `null` where the client failed before or after it. */
  readonly sqlState: string | null;
  /** True where the same statement may succeed later. */
  readonly transient: boolean;
  /** True where the statement may have taken effect nevertheless: its answer never came. */
  readonly uncertain: boolean;

  /** Made by {@link toSqlError}. */
  constructor(message: string, fields: SqlErrorFields) {
    const { sqlState, transient, uncertain } = fields;
    const down = transient && (sqlState === null || OUTAGE.test(sqlState));
    super(down ? "store_unreachable" : "internal", message, { cause: fields.cause });
    this.sqlState = sqlState;
    this.transient = transient;
    this.uncertain = uncertain;
  }
}

/** The database as a whole cannot be used: connection, capacity (53), operator (57P), I/O. */
const OUTAGE = /^(?:08|53|57P0[1-5]|58030|25006)/;

/**
 * Besides outages: serialization, deadlock and the like (40), lock_not_available, query_canceled (a
 * statement timeout), idle in transaction and transaction timeouts.
 */
const RETRY = /^(?:40|55P03|55006|57014|25P03|25P04)/;

/** The answer to the statement may have been lost: the connection broke under it. */
const ANSWER_LOST = /^(?:08|40003|57P0[124])/;

/** A SQLSTATE; system codes of the same length (EPIPE, EPERM) begin with an E, which none does. */
const SQLSTATE = /^[0-9A-DF-Z][0-9A-Z]{4}$/;

/** A connection that was never made: nothing can have happened. */
const NOT_SENT =
  /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|CONNECT_TIMEOUT|CONNECTION_CLOSED_EARLY|CONNECTION_ENDED|ConnectionRefused|exceeded when trying to connect|connection timeout|not queryable|after calling end/;

/** How clients and runtimes call a connection that broke. */
const BROKEN =
  /ECONNRESET|EPIPE|ETIMEDOUT|ECONNABORTED|ERR_STREAM|ERR_SOCKET|CONNECTION_CLOSED|CONNECTION_DESTROYED|Connection terminated|ConnectionReset|ConnectionAborted|BrokenPipe|UnexpectedEof|TimedOut|ConnectionError|BadResource|PGlite is clos|connection (?:was )?closed|session was terminated|timeout expired/i;

/** Makes one kind of error of whatever a client throws. */
export function toSqlError(thrown: unknown): SqlError {
  if (thrown instanceof SqlError) return thrown;
  const message = `The database refused a statement: ${messageOf(thrown)}`;
  for (let error = thrown, depth = 0; isObject(error) && depth < 5; error = error.cause, depth++) {
    const sqlState = sqlStateOf(error);
    if (sqlState !== null) {
      return new SqlError(message, {
        sqlState,
        transient: OUTAGE.test(sqlState) || RETRY.test(sqlState) || isStalePlan(sqlState, error),
        uncertain: ANSWER_LOST.test(sqlState),
        cause: thrown,
      });
    }
    const text = `${error.code} ${error.name} ${error.message}`;
    if (NOT_SENT.test(text)) return lost("Cannot reach the database", false, thrown);
    if (BROKEN.test(text)) return lost("The connection to the database broke", true, thrown);
  }
  return new SqlError(message, {
    sqlState: null,
    transient: false,
    uncertain: false,
    cause: thrown,
  });
}

/** The error of a statement whose time was up before an answer came. */
export function timedOut(ms: number): SqlError {
  return new SqlError(`The database did not answer a statement within ${ms} ms`, {
    sqlState: null,
    transient: true,
    uncertain: true,
  });
}

/** The error of a statement for which no connection could be had. */
export function notSent(thrown: unknown): SqlError {
  const { message, sqlState, transient, cause } = toSqlError(thrown);
  return new SqlError(message, { sqlState, transient, uncertain: false, cause });
}

function lost(message: string, uncertain: boolean, cause: unknown): SqlError {
  return new SqlError(`${message}: ${messageOf(cause)}`, {
    sqlState: null,
    transient: true,
    uncertain,
    cause,
  });
}

/** A prepared statement met a table that a migration has changed since; prepared anew it works. */
function isStalePlan(sqlState: string, error: Thrown): boolean {
  return sqlState === "0A000" && /cached plan/.test(String(error.message));
}

interface Thrown {
  code?: unknown;
  name?: unknown;
  message?: unknown;
  cause?: unknown;
  fields?: { code?: unknown };
}

function isObject(value: unknown): value is Thrown {
  return typeof value === "object" && value !== null;
}

/** postgres.js, pg and PGlite have it in `code`, @db/postgres in `fields.code`. */
function sqlStateOf({ code, fields }: Thrown): string | null {
  const found = fields?.code ?? code;
  return typeof found === "string" && SQLSTATE.test(found) ? found : null;
}
