import type { SqlExecutor, SqlTransaction } from "./driver.ts";
import { endable, overError } from "./limit.ts";
import type { PorsagerConnection, PorsagerScope } from "./porsager_executor.ts";
import { toSqlError } from "./sql_error.ts";

/** What can begin a transaction. */
export interface Beginner {
  begin<T>(work: (tx: PorsagerScope) => Promise<T>): Promise<T>;
}

/**
 * Runs `work` in a transaction of postgres.js, and keeps it off a connection that breaks meanwhile.
 * Version 3.4.9 would send what still comes (statements of a callback that goes on, its own
 * rollback) to the same connection object: while that is closed it ends the process with an uncaught
 * TypeError (porsager/postgres#1208), and once another statement has reconnected it, it runs
 * outside of the transaction or within someone else's (#1155). So from the moment that it breaks,
 * nothing is sent: statements are refused, and the callback never returns to `sql.begin`.
 *
 * @param executorOf how statements are run; `abandon` breaks the transaction off
 * @param known the connection that `sql` begins on, where that is known; it saves a round trip
 */
export async function inTransaction<T>(
  sql: Beginner,
  executorOf: (scope: PorsagerScope, abandon: () => void) => SqlExecutor,
  work: (tx: SqlTransaction) => Promise<T>,
  known?: PorsagerConnection,
): Promise<T> {
  let thrown: { readonly error: unknown } | undefined;
  try {
    return await sql.begin(async (scope) => {
      let over: string | null = null;
      const connection = known ?? await connectionOf(scope);
      const handle = guarded(scope, () => over);
      // A statement that never ends would hold up the rollback behind it.
      const abandon = () => connection.onclose?.(destroyed());
      const tx = endable({ handle, ...executorOf(scope, abandon) });
      const end = (why: string) => {
        over ??= why;
        tx.end(why);
      };
      let broken = false;
      const reject = connection.onclose;
      connection.onclose = (error) => {
        broken = true;
        end("lost its connection");
        connection.terminate();
        reject?.(error);
      };
      try {
        return await work(tx);
      } catch (error) {
        thrown = { error };
        throw error;
      } finally {
        end("has ended");
        if (broken) await new Promise<never>(() => {});
      }
    });
  } catch (error) {
    // What `work` threw comes out as it is; what the client throws is made an SqlError.
    if (thrown !== undefined && thrown.error === error) throw error;
    throw toSqlError(error);
  }
}

/** What postgres.js itself would say. */
export function destroyed(): Error {
  return Object.assign(new Error("a statement was given up"), { code: "CONNECTION_DESTROYED" });
}

/** Finds the connection by a statement: `sql.begin` has just set `onclose` on it. */
async function connectionOf(scope: PorsagerScope): Promise<PorsagerConnection> {
  let found: PorsagerConnection | undefined;
  await scope.unsafe("select 1", [], {
    simple: true,
    onexecute: (connection) => {
      found = connection;
      return true;
    },
  });
  return found ?? { onclose: null, terminate() {} };
}

/** The client's own transaction, for the user's statements, closed to them once it is over. */
function guarded(scope: PorsagerScope, over: () => string | null): PorsagerScope {
  const check = () => {
    const why = over();
    if (why !== null) throw overError(why);
  };
  return new Proxy(scope, {
    apply(target, self, args) {
      check();
      return Reflect.apply(target as unknown as () => unknown, self, args);
    },
    get(target, key) {
      check();
      return Reflect.get(target, key);
    },
  });
}
