import type { SqlExecutor, SqlTransaction } from "./driver.ts";
import { endable } from "./limit.ts";
import type { PorsagerConnection, PorsagerScope } from "./porsager_executor.ts";
import { timedOut, toSqlError } from "./sql_error.ts";

/** What can begin a transaction. */
export interface Beginner {
  begin<T>(work: (tx: PorsagerScope) => Promise<T>): Promise<T>;
}

/** How a transaction is run. */
export interface TransactionSettings {
  /** Milliseconds for its begin and for its commit; statements have limits of their own. */
  readonly limitMs: number;
  /** How statements are run; `abandon` breaks the transaction off. */
  executorOf(scope: PorsagerScope, abandon: () => void): SqlExecutor;
  /** The connection that it begins on, where that is known; it saves a round trip. */
  readonly known?: PorsagerConnection;
  /** Frees what a begin or commit holds whose time is up. */
  readonly giveUp?: () => void;
}

/**
 * Runs `work` in a transaction of postgres.js, and keeps it off a connection that breaks meanwhile.
 * Version 3.4.9 would send what still comes (statements of a callback that goes on, its own
 * rollback) to the same connection object: while that is closed it ends the process with an uncaught
 * TypeError (porsager/postgres#1208), and once another statement has reconnected it, it runs
 * outside of the transaction or within someone else's (#1155). So from the moment that it breaks,
 * nothing is sent: statements are refused, and the callback never returns to `sql.begin`.
 */
export async function inTransaction<T>(
  sql: Beginner,
  work: (tx: SqlTransaction) => Promise<T>,
  { limitMs, executorOf, known, giveUp }: TransactionSettings,
): Promise<T> {
  let thrown: { readonly error: unknown } | undefined;
  let abandon = (): void => {};
  const late = deadline(limitMs, () => (abandon(), giveUp?.()));

  const run = async (scope: PorsagerScope): Promise<T> => {
    if (late.passed) throw timedOut(limitMs);
    const connection = known ?? await connectionOf(scope);
    let broken = false;
    abandon = () => connection.onclose?.(destroyed());
    const tx = endable({ handle: scope, ...executorOf(scope, abandon) });
    const reject = connection.onclose;
    connection.onclose = (error) => {
      broken = true;
      tx.end("lost its connection");
      connection.terminate();
      reject?.(error);
    };
    late.stop();
    try {
      return await work(tx);
    } catch (error) {
      thrown = { error };
      // The server's last word may come before the end of the connection: that is waited for.
      await new Promise((resolve) => setTimeout(resolve, mayBeBroken(error) ? 100 : 0));
      throw error;
    } finally {
      tx.end("has ended");
      if (broken) await never();
      connection.onclose = reject;
      late.start();
    }
  };

  try {
    return await Promise.race([sql.begin(run), late.promise]);
  } catch (error) {
    // What `work` threw comes out as it is; what the client throws is made an SqlError.
    if (thrown !== undefined && thrown.error === error) throw error;
    throw toSqlError(error);
  } finally {
    late.stop();
  }
}

/** Rejects when its time is up, and then calls `onLate`. Runs from the start. */
function deadline(ms: number, onLate: () => void) {
  let reject!: (error: unknown) => void;
  const promise = new Promise<never>((_, no) => void (reject = no));
  promise.catch(() => {});
  let timer: ReturnType<typeof setTimeout> | undefined;
  let passed = false;
  const stop = () => clearTimeout(timer);
  const start = () => {
    timer = setTimeout(() => {
      passed = true;
      reject(timedOut(ms));
      onLate();
    }, ms);
  };
  start();
  return {
    promise,
    start,
    stop,
    get passed() {
      return passed;
    },
  };
}

function never(): Promise<never> {
  return new Promise(() => {});
}

function mayBeBroken(error: unknown): boolean {
  const { severity } = ((error as Error)?.cause ?? error ?? {}) as { severity?: string };
  return severity === "FATAL" || toSqlError(error).uncertain;
}

/** What postgres.js itself would say. */
export function destroyed(): Error {
  return Object.assign(new Error("a statement was given up"), { code: "CONNECTION_DESTROYED" });
}

/**
 * Finds the connection by a statement: `sql.begin` has just set `onclose` on it. Where that breaks
 * already, `sql.begin` is told as well, and must not roll back.
 */
async function connectionOf(scope: PorsagerScope): Promise<PorsagerConnection> {
  let found: PorsagerConnection | undefined;
  const onexecute = (connection: PorsagerConnection) => {
    found = connection;
    return true;
  };
  try {
    await scope.unsafe("select 1", [], { simple: true, onexecute });
  } catch {
    await never();
  }
  return found ?? { onclose: null, terminate() {} };
}
