import type { Logger } from "../core/logger.ts";
import type { SqlDriver, SqlTransaction } from "./driver.ts";
import { SqlError } from "./sql_error.ts";

/** An outage is over once so long has passed without a failure: a flapping server is one outage. */
const CALM_MS = 5_000;

/** Tells the logger, once each, when the database is gone and when it is back. */
export function watched(driver: SqlDriver, logger: Logger | undefined): SqlDriver {
  if (logger === undefined) return driver;
  let outage: { readonly since: number; last: number } | null = null;

  async function watch<T>(statement: Promise<T>): Promise<T> {
    try {
      const result = await statement;
      if (outage !== null) answered();
      return result;
    } catch (error) {
      if (error instanceof SqlError && error.code === "store_unreachable") failed(error);
      throw error;
    }
  }

  function failed(error: SqlError): void {
    const now = Date.now();
    if (outage === null) logger?.warn("database connection lost", { client: driver.name, error });
    outage = { since: outage?.since ?? now, last: now };
  }

  function answered(): void {
    if (outage === null || Date.now() - outage.last < CALM_MS) return;
    const lastedMs = outage.last - outage.since;
    logger?.info("database connection restored", { client: driver.name, lastedMs });
    outage = null;
  }

  const { pipeline, inOrder } = driver;
  return {
    ...driver,
    ...(pipeline && {
      pipeline(afterHints) {
        const query = pipeline(afterHints);
        return (text, params) => watch(query(text, params));
      },
    }),
    ...(inOrder && {
      inOrder: <T>(work: Parameters<typeof inOrder<T>>[0]) => watch(inOrder<T>(work)),
    }),
    query: (text, params) => watch(driver.query(text, params)),
    script: (text) => watch(driver.script(text)),
    transaction: <T>(work: (tx: SqlTransaction) => Promise<T>) => watch(driver.transaction(work)),
  };
}
