/**
 * The port between the stores and whatever SQL client runs their statements. It is kept so small
 * that every client fits it without loss:
 *
 * - **Parameters are scalars.** Batches travel as one JSON text (`$1::text::jsonb`, so that no
 *   client encodes it a second time) or as a Postgres array literal (`$1::text::int8[]`). Cast every
 *   parameter whose type the statement does not settle by itself.
 * - **Columns are scalars.** `bool`, `int2`, `int4`, `int8`, `float4`, `float8` and text types come
 *   back as boolean, number and string, the same from every client. Whatever else a statement
 *   selects it casts: JSON to `text`, `numeric` to `float8`, a moment to epoch milliseconds.
 * - **Errors are {@link SqlError}s**, and every statement ends, by its result or by its timeout.
 */

import type { Logger } from "../core/logger.ts";

/** What a statement takes. A bigint travels as text: `String(value)` and `$1::text::int8`. */
export type SqlParam = string | number | boolean | null;

/** What a column comes back as. */
export type SqlValue = string | number | boolean | null;

/** A row by its column names, which are lower snake case. */
export type SqlRow = Record<string, SqlValue>;

/** Where statements run: on a driver each by itself, on a transaction all as one. */
export interface SqlExecutor {
  /**
   * Runs one statement and returns its rows. It is prepared and kept by its text where the client
   * can, so texts are constants with parameters, never built per call. A `$1` in a text is a
   * parameter wherever it stands, also in quotes and comments.
   *
   * An int8 beyond 2^53 is an error rather than a wrong number: cast such a column to text.
   *
   * @throws {SqlError}
   */
  query<Row extends object = SqlRow>(text: string, params?: readonly SqlParam[]): Promise<Row[]>;
  /**
   * Runs a script of one or many statements without parameters, unprepared and for as long as the
   * server lets it: where it may take longer than a statement, in a transaction that begins with
   * `SET LOCAL statement_timeout = 0`. Outside of a transaction the server runs it as one.
   *
   * @throws {SqlError}
   */
  script(text: string): Promise<void>;
}

/** An open transaction. It refuses statements once it is over; there is none within it. */
export interface SqlTransaction extends SqlExecutor {
  /** The client's own object for it, which users write their statements with. */
  readonly handle: unknown;
}

/** One database through one client. */
export interface SqlDriver extends SqlExecutor {
  /** The client, for logs: `"postgres.js"`, `"pg"`, `"@db/postgres"`, `"pglite"`. */
  readonly name: string;
  /** True where there is but one connection: a transaction then holds up every other statement. */
  readonly single: boolean;
  /**
   * Opens a pipeline: as `query`, for statements that follow each other closely. Those of a pipeline
   * that are under way at the same time go over one connection, in the order of the calls. Spread over
   * a pool, its sessions waited for each other at the pages that all of them write: 37 µs of a server
   * with two cores for what one session did in 25. Not there where the client cannot send a statement
   * before the one before is answered.
   *
   * @param afterHints true for statements that follow what is notified: they go over a connection that
   * listens, where one does
   */
  pipeline?(afterHints?: boolean): SqlExecutor["query"];
  /**
   * Runs `work` with one connection. Statements that it begins without waiting for those before are
   * sent at once, and run in the order of the calls, each in a transaction of its own. Not there where
   * the client waits for answers.
   */
  inOrder?<T>(work: (connection: Pick<SqlExecutor, "query">) => Promise<T>): Promise<T>;
  /**
   * Runs `work` in a transaction: commits when it returns, rolls back when it throws and passes on
   * what it threw. Statements of the driver itself are not part of it, and with a single
   * connection `work` must not wait for one.
   *
   * @throws {SqlError} when it could not be begun or committed
   */
  transaction<T>(work: (tx: SqlTransaction) => Promise<T>): Promise<T>;
  /**
   * Subscribes to a channel (at most 63 bytes, no quotes), over a connection of its own where there
   * is more than one. Returns at once how to stop. A lost connection is replaced, however long that
   * takes; `onListening` is called each time that the subscription stands, the first one included,
   * because what was sent before has been missed. Not there where the client cannot listen.
   */
  listen?(
    channel: string,
    onNotify: (payload: string) => void,
    onListening: () => void,
  ): () => Promise<void>;
  /** Ends subscriptions and what the driver opened itself; a client that it was given stays open. */
  close(): Promise<void>;
}

/** What every driver takes. */
export interface SqlOptions {
  /**
   * Milliseconds until a statement is given up, its wait for a connection included. Default 30,000.
   * The server ends it as well where the client can tell it to.
   */
  readonly statementTimeoutMs?: number;
  /**
   * False relies on nothing that outlives a transaction: no prepared statements, no listening and
   * no settings of the session, as a pooler in transaction mode demands. Default true.
   */
  readonly session?: boolean;
  /** Where an outage and its end are told, once each. */
  readonly logger?: Logger;
}

/** How one kind of client is used. */
export interface SqlAdapter {
  /** The client as errors list it. */
  readonly client: string;
  /** Tells by its shape whether something is a client of this kind. */
  accepts(handle: object): boolean;
  /** Wraps a client that it accepts. */
  driver(handle: object, options: SqlOptions): SqlDriver;
  /** Wraps a transaction that the caller has opened; `null` for what is not one of its kind. */
  transaction(handle: object, options: SqlOptions): SqlTransaction | null;
}

/** Milliseconds until a statement is given up. */
export function limitOf({ statementTimeoutMs = 30_000 }: SqlOptions): number {
  return statementTimeoutMs;
}
