import type { Deadlines } from "./deadlines.ts";
import type { SqlExecutor, SqlTransaction } from "./driver.ts";
import type { Pooled } from "./pool.ts";
import {
  type Client,
  executorOf,
  type PorsagerConnection,
  type PorsagerScope,
} from "./porsager_executor.ts";
import { type Beginner, destroyed, inTransaction } from "./porsager_transaction.ts";
import { timedOut } from "./sql_error.ts";

/** What is used of the postgres.js package. */
export type Postgres = (url: string, options: Record<string, unknown>) => Instance;

interface Instance extends PorsagerScope, Beginner {
  readonly options: Client & { readonly host: readonly string[] };
  end(options: { timeout: number }): Promise<void>;
}

/** How connections are opened. */
export interface ConnectionOptions {
  /** Where to. */
  readonly url: string;
  /** Milliseconds until a connection that has not come is given up. */
  readonly connectMs: number;
  /** When its statements are given up: then even the server's own limit did not end them. */
  readonly deadlines: Deadlines;
  /** False behind a pooler in transaction mode. */
  readonly session: boolean;
  /** Parameters of the session. */
  readonly parameters: Record<string, string | number>;
  /** Told once, as soon as an open connection is of no use any more. */
  readonly onBroken?: (connection: Connection) => void;
}

/** One connection. */
export interface Connection extends Pooled, SqlExecutor {
  /** Runs `work` in a transaction on it. */
  transaction<T>(work: (tx: SqlTransaction) => Promise<T>): Promise<T>;
  /** Resolves when it is of no use any more. */
  readonly lost: Promise<void>;
  /** Who is told from now on of what is notified on the channels that it listens to. */
  onNotify: ((channel: string, payload: string) => void) | null;
}

/**
 * Opens one connection: an instance of postgres.js with `max: 1` that is thrown away as soon as it
 * breaks, because one that reconnects may never send again, or run a rest of one transaction in
 * another (see {@link inTransaction}).
 */
export async function openConnection(
  postgres: Postgres,
  { url, connectMs, deadlines, session, parameters, onBroken }: ConnectionOptions,
): Promise<Connection> {
  let broken = false;
  let lose!: () => void;
  const lost = new Promise<void>((resolve) => void (lose = resolve));
  let link: PorsagerConnection | undefined;
  const sql = postgres(url, {
    max: 1,
    prepare: session,
    fetch_types: false, // nobody would catch it when that fails
    idle_timeout: null,
    max_lifetime: null,
    connect_timeout: connectMs / 1000,
    keep_alive: 30,
    backoff: 0,
    connection: parameters,
    onnotice: () => {},
    onnotify: (channel: string, payload: string) => connection.onNotify?.(channel, payload),
    onclose: () => giveUp(),
  });
  const dial = dialOnce(sql.options);

  function giveUp(): void {
    if (broken) return;
    broken = true;
    lose();
    link?.onclose?.(destroyed()); // the transaction on it
    link?.terminate(); // it refuses from now on what still comes
    void sql.end({ timeout: 0 });
    if (link !== undefined) onBroken?.(connection);
  }

  const settings = {
    limitMs: deadlines.ms,
    deadlines,
    prepare: session,
    giveUp(cancel: () => void) {
      dial.allow();
      cancel();
      giveUp();
    },
  };
  const run = executorOf(sql, settings, sql.options);
  const connection: Connection = {
    ...run,
    lost,
    onNotify: null,
    get broken() {
      return broken;
    },
    transaction: (work) =>
      inTransaction(sql, work, {
        limitMs: settings.limitMs,
        executorOf: (scope) => executorOf(scope, settings, sql.options),
        known: link,
        giveUp,
      }),
    async end() {
      broken = true;
      await sql.end({ timeout: 0.2 });
    },
  };
  try {
    link = await greet(sql, connectMs);
  } catch (error) {
    giveUp();
    throw error;
  }
  return connection;
}

/** Waits for the first answer, within the time to connect. */
async function greet(sql: Instance, ms: number): Promise<PorsagerConnection | undefined> {
  let link: PorsagerConnection | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(timedOut(ms)), ms);
  });
  const onexecute = (connection: PorsagerConnection) => {
    link = connection;
    return true;
  };
  try {
    await Promise.race([sql.unsafe("select 1", [], { simple: true, onexecute }), late]);
  } finally {
    clearTimeout(timer);
  }
  return link;
}

/**
 * Lets an instance open one socket to each of its hosts and no more. postgres.js 3.4.9 dials again
 * without a pause, for ever, where its peer closes the connection during startup
 * (porsager/postgres#1193), and after its end, when a reconnection was already under way.
 *
 * It reads `options.socket`, which may be a function that makes the socket, twice for each attempt.
 * `allow` lets it dial once more, to cancel a statement.
 */
function dialOnce(options: Instance["options"]): { allow(): void } {
  let reads = 2 * options.host.length;
  const refuse = () => {
    throw Object.assign(new Error("the server closed the connection"), {
      code: "CONNECTION_CLOSED_EARLY",
    });
  };
  Object.defineProperty(options, "socket", { get: () => reads-- > 0 ? undefined : refuse });
  return { allow: () => void (reads = 2) };
}
