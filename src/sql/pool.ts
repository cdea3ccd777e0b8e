import { notSent, SqlError, timedOut } from "./sql_error.ts";

/** What the pool keeps. */
export interface Pooled {
  /** True once it is of no use any more. */
  readonly broken: boolean;
  /** Ends it; never fails. */
  end(): Promise<void>;
}

/** Gives out connections, at most so many at once. */
export interface Pool<Connection extends Pooled> {
  /**
   * Lends a connection for the time of `work`, first come, first served. Who has waited for
   * `patienceMs` has a further one opened.
   *
   * @throws {SqlError} when none comes within the time limit, or the database cannot be reached
   */
  use<T>(work: (connection: Connection) => Promise<T>, patienceMs?: number): Promise<T>;
  /** Gives an idle connection away for good; `null` where there is none. */
  take(): Connection | null;
  /** Forgets an idle connection that has broken. */
  drop(connection: Connection): void;
  /** Ends idle connections at once, the others when they are given back or after five seconds. */
  close(): Promise<void>;
}

/** What a pool is made of. */
export interface PoolOptions<Connection extends Pooled> {
  /** Opens a connection; it fails in bounded time where it cannot. */
  open(): Promise<Connection>;
  /** At most so many at once. */
  readonly max: number;
  /** Milliseconds that a caller waits for one. */
  readonly waitMs: number;
  /** Milliseconds after which one that nobody uses is ended. */
  readonly idleMs: number;
}

interface Waiter<Connection> {
  readonly give: (connection: Connection) => void;
  readonly refuse: (error: SqlError) => void;
}

/**
 * To open a connection takes about 15 ms, and as much again until it has planned its first
 * statements: most callers get one sooner that is in use.
 */
const PATIENCE_MS = 5;
const FIRST_DELAY_MS = 50;
const MAX_DELAY_MS = 3_000;
const CLOSE_MS = 5_000;

/**
 * While the database cannot be reached, one connection is tried at a time, after a delay that
 * doubles from 50 ms to 3 s, with jitter; who waits is told with each failure. An outage so costs
 * a handful of attempts and of log lines, however many callers there are.
 */
export function createPool<Connection extends Pooled>(
  { open, max, waitMs, idleMs }: PoolOptions<Connection>,
): Pool<Connection> {
  const idle: { readonly connection: Connection; readonly since: number }[] = [];
  const waiting = new Set<Waiter<Connection>>();
  const lent = new Set<Connection>();
  let size = 0; // idle, lent, being opened or being ended
  let opening = 0;
  let failures = 0;
  let closed = false;
  let sweeper: ReturnType<typeof setTimeout> | undefined;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let drained = (): void => {};

  function acquire(patienceMs: number): Promise<Connection> {
    if (closed) return Promise.reject(isClosed());
    const ready = idle.pop(); // the one used last: the others may grow idle
    if (ready !== undefined) return Promise.resolve(ready.connection);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => waiter.refuse(notSent(timedOut(waitMs))), waitMs);
      let patience: ReturnType<typeof setTimeout> | undefined;
      const settle = <T>(done: (value: T) => void) => (value: T) => {
        clearTimeout(timer);
        clearTimeout(patience);
        waiting.delete(waiter);
        done(value);
      };
      const waiter: Waiter<Connection> = { give: settle(resolve), refuse: settle(reject) };
      waiting.add(waiter);
      if (lent.size > 0 && patienceMs > 0) patience = setTimeout(grow, patienceMs);
      else grow();
    });
  }

  function grow(): void {
    if (failures > 0 && (opening > 0 || retry !== undefined)) return;
    if (closed || waiting.size <= opening || size >= max) return;
    size++;
    opening++;
    if (failures === 0) return void start();
    const delay = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - 1));
    retry = setTimeout(start, delay * (0.5 + Math.random() / 2));
  }

  async function start(): Promise<void> {
    retry = undefined;
    const round = failures;
    try {
      const connection = await open();
      opening--;
      failures = 0;
      giveBack(connection);
      while (waiting.size > opening && size < max) grow();
    } catch (error) {
      opening--;
      size--;
      failures = Math.max(failures, round + 1); // ten attempts at once are one failure
      for (const { refuse } of waiting) refuse(notSent(error));
      if (closed && size === 0) drained();
    }
  }

  function giveBack(connection: Connection): void {
    if (closed || connection.broken) return void discard(connection);
    const [next] = waiting;
    if (next !== undefined) return next.give(connection);
    idle.push({ connection, since: Date.now() });
    sweeper ??= setTimeout(sweep, idleMs);
  }

  async function discard(connection: Connection): Promise<void> {
    await connection.end();
    size--;
    grow();
    if (closed && size === 0) drained();
  }

  /** The longest idle stand at the front. */
  function sweep(): void {
    sweeper = undefined;
    while (idle.length > 0 && Date.now() - idle[0].since >= idleMs) {
      void discard(idle.shift()!.connection);
    }
    if (idle.length > 0) sweeper = setTimeout(sweep, idleMs - (Date.now() - idle[0].since));
  }

  return {
    async use(work, patienceMs = PATIENCE_MS) {
      const connection = await acquire(patienceMs);
      lent.add(connection);
      try {
        return await work(connection);
      } finally {
        lent.delete(connection);
        giveBack(connection);
      }
    },
    take() {
      const taken = idle.pop();
      if (taken === undefined) return null;
      size--;
      return taken.connection;
    },
    drop(connection) {
      const place = idle.findIndex((entry) => entry.connection === connection);
      if (place !== -1) void discard(idle.splice(place, 1)[0].connection);
    },
    async close() {
      closed = true;
      clearTimeout(sweeper);
      if (retry !== undefined) {
        clearTimeout(retry);
        size--;
        opening--;
      }
      for (const { refuse } of waiting) refuse(isClosed());
      if (size === 0) return;
      const done = new Promise<void>((resolve) => void (drained = resolve));
      for (const { connection } of idle.splice(0)) void discard(connection);
      const force = setTimeout(() => lent.forEach((connection) => void connection.end()), CLOSE_MS);
      await done;
      clearTimeout(force);
    },
  };
}

function isClosed(): SqlError {
  return new SqlError("Cannot run a statement: the connection to the database was closed", {
    sqlState: null,
    transient: false,
    uncertain: false,
  });
}
