import type { SqlParam, SqlTransaction } from "./driver.ts";
import { SqlError, timedOut, toSqlError } from "./sql_error.ts";

/**
 * Waits for a statement, at most so long. What a client throws comes out as a {@link SqlError}.
 *
 * @param giveUp frees what the statement holds, when its time is up
 */
export function withLimit<T>(
  ms: number,
  statement: PromiseLike<T>,
  giveUp: () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(timedOut(ms));
      giveUp();
    }, ms);
    statement.then(
      (result) => (clearTimeout(timer), resolve(result)),
      (error) => (clearTimeout(timer), reject(toSqlError(error))),
    );
  });
}

/** A transaction that can be ended: from then on it refuses statements. */
export interface EndableTransaction extends SqlTransaction {
  /** Refuses every further statement, saying why. */
  end(why: string): void;
}

/**
 * Guards a transaction against statements that come after its end. Clients run those outside of
 * it, on a connection that may by then serve another transaction.
 */
export function endable(tx: SqlTransaction): EndableTransaction {
  let over: string | null = null;
  const refuse = (): Promise<never> => Promise.reject(overError(over ?? "has ended"));
  return {
    handle: tx.handle,
    query: <Row extends object>(text: string, params?: readonly SqlParam[]) =>
      over === null ? tx.query<Row>(text, params) : refuse(),
    script: (text) => over === null ? tx.script(text) : refuse(),
    end: (why) => void (over ??= why),
  };
}

/** What a statement meets that comes after the end of its transaction. */
export function overError(why: string): SqlError {
  return new SqlError(`Cannot run a statement in a transaction that is over: it ${why}`, {
    sqlState: "25P01",
    transient: false,
    uncertain: false,
  });
}
