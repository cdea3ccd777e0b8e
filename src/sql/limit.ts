import type { Deadlines } from "./deadlines.ts";
import type { SqlParam, SqlTransaction } from "./driver.ts";
import { SqlError, timedOut, toSqlError } from "./sql_error.ts";

/**
 * So many turns of the event loop read what has come by then: where a process was kept busy, timers
 * are served before its sockets, and an answer may take several reads.
 */
const READING_TURNS = 20;

/**
 * Waits for a statement, at most so long. What a client throws comes out as a {@link SqlError}. An
 * answer that came while something else kept the process busy has come in time, whenever it is read.
 *
 * @param giveUp frees what the statement holds, when its time is up
 * @param deadlines those of a driver with this limit, where it has some
 */
export function withLimit<T>(
  ms: number,
  statement: PromiseLike<T>,
  giveUp: () => void,
  deadlines?: Deadlines,
): Promise<T> {
  return new Promise((resolve, reject) => {
    let turns = READING_TURNS;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const onTime = () => {
      if (turns-- > 0) {
        timer = setTimeout(onTime, 0); // setImmediate does not wait for sockets everywhere
        return;
      }
      reject(timedOut(ms));
      giveUp();
    };
    const deadline = deadlines?.add(onTime);
    if (deadline === undefined) timer = setTimeout(onTime, ms);
    const stop = () => {
      if (deadline !== undefined) deadlines?.delete(deadline);
      if (timer !== undefined) clearTimeout(timer);
    };
    statement.then(
      (result) => (stop(), resolve(result)),
      (error) => (stop(), reject(toSqlError(error))),
    );
  });
}

/** A transaction that can be ended: from then on it refuses statements. */
export interface EndableTransaction extends SqlTransaction {
  /** Refuses every further statement, saying why. */
  end(why: string): void;
}

/**
 * Guards a transaction, and the client's own object for it, against statements that come after its
 * end. Clients run those outside of it, on a connection that may by then serve another transaction.
 */
export function endable(tx: SqlTransaction): EndableTransaction {
  let over: string | null = null;
  const check = () => {
    if (over !== null) throw overError(over);
  };
  return {
    handle: guarded(tx.handle as object, check),
    async query<Row extends object>(text: string, params?: readonly SqlParam[]) {
      check();
      return await tx.query<Row>(text, params);
    },
    async script(text) {
      check();
      await tx.script(text);
    },
    end: (why) => void (over ??= why),
  };
}

type Callable = (...args: unknown[]) => unknown;

/** The same object, whose every call is checked. Private fields need their own object as `this`. */
function guarded(handle: object, check: () => void): object {
  const checked = (call: Callable, self: unknown): Callable => (...args) => {
    check();
    return Reflect.apply(call, self, args);
  };
  return new Proxy(handle, {
    apply: (target, self, args) => checked(target as Callable, self)(...args),
    get(target, key) {
      const value = Reflect.get(target, key);
      return typeof value === "function" ? checked(value, target) : value;
    },
  });
}

/** What a statement meets that comes after the end of its transaction. */
function overError(why: string): SqlError {
  return new SqlError(`Cannot run a statement in a transaction that is over: it ${why}`, {
    sqlState: "25P01",
    transient: false,
    uncertain: false,
  });
}
