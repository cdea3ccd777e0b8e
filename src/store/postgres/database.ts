import type { Clock } from "../../core/clock.ts";
import { DispatchError, messageOf, show } from "../../core/errors.ts";
import type { SqlDriver, SqlExecutor, SqlParam, SqlRow } from "../../sql/driver.ts";
import { SqlError } from "../../sql/sql_error.ts";

/** The schema of one installation, and how statements reach it. */
export class Database {
  /** Name of the schema. */
  readonly schema: string;
  readonly #clock: Clock | undefined;
  readonly #open: () => Promise<SqlDriver>;
  #driver: Promise<SqlDriver> | null = null;

  constructor(schema: string, clock: Clock | undefined, open: () => Promise<SqlDriver>) {
    this.schema = checkSchema(schema);
    this.#clock = clock;
    this.#open = open;
  }

  /**
   * The moment to tell the database: null, which is for its own clock, unless a test holds the time.
   * Then no deadline depends on the clock of any machine but the database's.
   */
  get now(): string | null {
    const held = this.#clock?.held ?? null;
    return held === null ? null : String(Math.floor(held));
  }

  /** Opened with the first use, and again if that failed. */
  driver(): Promise<SqlDriver> {
    this.#driver ??= this.#open().catch((error) => {
      this.#driver = null;
      throw error;
    });
    return this.#driver;
  }

  /** Runs one statement. */
  query<Row extends object = SqlRow>(text: string, params: readonly SqlParam[]): Promise<Row[]> {
    return this.retry(() => this.driver().then((driver) => driver.query<Row>(text, params)));
  }

  /**
   * Runs a statement that commits before the disk has it, and resolves when the disk has: its `flush`,
   * sent right behind, commits after it and waits. What it tells others they hear sooner by the time of
   * that, a third of a millisecond on a fast disk; and nobody has been promised anything until then.
   *
   * Where the client cannot send two at once, `otherwise` is run, which waits itself.
   */
  async ahead<Row extends object>(
    statement: string,
    params: readonly SqlParam[],
    { flush, flushParams, otherwise }: {
      readonly flush: string;
      readonly flushParams: readonly SqlParam[];
      readonly otherwise: string;
    },
  ): Promise<Row[]> {
    const driver = await this.driver();
    if (driver.inOrder === undefined) return await this.query<Row>(otherwise, params);
    const [answer, flushed] = await driver.inOrder((connection) =>
      Promise.allSettled([
        connection.query<Row>(statement, params),
        connection.query(flush, flushParams),
      ])
    );
    if (answer.status === "rejected") throw answer.reason;
    if (flushed.status === "rejected") throw notFlushed(flushed.reason);
    return answer.value;
  }

  /**
   * Tries again what the database has rolled back because it and others waited for each other. Locks
   * are taken in one order everywhere, so that this is for what slips in between.
   */
  retry<T>(work: () => Promise<T>, tries = 5): Promise<T> {
    return work().catch((error) => {
      if (!(error instanceof SqlError && error.sqlState === "40P01") || tries === 1) throw error;
      return this.retry(work, tries - 1);
    });
  }

  /** Runs claims; those of a backlog follow each other without a pause, others follow a hint. */
  readonly claiming = this.#pipeline(true);

  /**
   * Runs what ends jobs, likewise. While jobs flow both are under way: over a single connection the
   * server was the narrow place, and 10,000 jobs took the time of 10,900.
   */
  readonly ending = this.#pipeline(false);

  #pipeline(afterHints: boolean): Pick<SqlExecutor, "query"> {
    let opened: { readonly of: SqlDriver; readonly query: SqlExecutor["query"] } | undefined;
    return {
      query: <Row extends object>(text: string, params: readonly SqlParam[] = []) =>
        this.retry(async () => {
          const driver = await this.driver();
          if (opened?.of !== driver) {
            opened = { of: driver, query: driver.pipeline?.(afterHints) ?? driver.query };
          }
          return await opened.query<Row>(text, params);
        }),
    };
  }

  async close(): Promise<void> {
    const driver = this.#driver;
    this.#driver = null;
    await (await driver?.catch(() => null))?.close();
  }
}

/** Of whatever kind: that the statement can be seen does not say that it will outlive the server. */
function notFlushed(cause: unknown): SqlError {
  return new SqlError(`The database did not say that a write is on the disk: ${messageOf(cause)}`, {
    sqlState: null,
    transient: true,
    uncertain: true,
    cause,
  });
}

/**
 * Lower case and short, so that it needs no quotes and fits a channel's name.
 *
 * @throws {DispatchError} `invalid_option`
 */
export function checkSchema(schema: string): string {
  if (/^[a-z_][a-z0-9_]{0,47}$/.test(schema) && !schema.startsWith("pg_")) return schema;
  throw new DispatchError("invalid_option", `Cannot use ${show(schema)} as a schema`, {
    hint: "Name it with 1 to 48 lower case letters, digits and underscores, not pg_ first.",
  });
}
