import { DispatchError } from "../core/errors.ts";
import { Deadlines } from "./deadlines.ts";
import {
  limitOf,
  type SqlDriver,
  type SqlOptions,
  type SqlParam,
  type SqlTransaction,
} from "./driver.ts";
import { type ListenConnection, listener, PING_MS } from "./listener.ts";
import { createListening, type Listening } from "./listening.ts";
import { watched } from "./outage.ts";
import { createPipeline } from "./pipeline.ts";
import { createPool } from "./pool.ts";
import {
  type Connection,
  type ConnectionOptions,
  openConnection,
  type Postgres,
} from "./porsager_connection.ts";

/** What {@link openPostgres} takes. */
export interface OpenOptions extends SqlOptions {
  /** At most so many connections, one more where somebody listens. Default 10. */
  readonly maxConnections?: number;
  /** Milliseconds until a connection that has not come is given up. Default 10,000. */
  readonly connectTimeoutMs?: number;
  /** What `pg_stat_activity` shows. Default `"dispatch"`. */
  readonly applicationName?: string;
}

/**
 * Within a session the server ends a statement at its limit; when even that does not come in so much
 * more time, the connection is dead.
 */
const GRACE_MS = 2_000;

/** One that nobody has used for so long is closed. */
const IDLE_MS = 60_000;

/** True for text that {@link openPostgres} takes. */
export function isPostgresUrl(text: string): boolean {
  return /^postgres(?:ql)?:\/\//i.test(text);
}

/**
 * Opens a database by its URL, with postgres.js. It connects with the first statement, and again
 * whenever that is needed: while the database cannot be reached, statements fail as `store_unreachable`
 * at a pace that spares it.
 *
 * The URL may name parameters of the session, such as `?search_path=app`, and `sslmode`.
 *
 * @throws {DispatchError} `unsupported_client` where postgres.js is not installed or the URL is none
 */
export async function openPostgres(url: string, options: OpenOptions = {}): Promise<SqlDriver> {
  if (!isPostgresUrl(url) || !URL.canParse(url)) throw notAUrl();
  const { default: postgres } = await import("postgres").catch((cause) => {
    throw new DispatchError(
      "unsupported_client",
      "Cannot open a postgres:// URL: postgres.js is not installed",
      {
        hint:
          "Install it (deno add npm:postgres, npm install postgres), or pass a client of your own.",
        cause,
      },
    );
  });
  return watched(driver(postgres as unknown as Postgres, url, options), options.logger);
}

function driver(postgres: Postgres, url: string, options: OpenOptions): SqlDriver {
  const { maxConnections = 10, connectTimeoutMs: connectMs = 10_000, session = true } = options;
  const limitMs = limitOf(options);
  const deadlines = new Deadlines(limitMs + (session ? GRACE_MS : 0));
  const target: ConnectionOptions = {
    ...{ url, connectMs, deadlines, session, parameters: parametersOf(options, limitMs) },
    onBroken: (connection) => pool.drop(connection),
  };
  const open = () => openConnection(postgres, target);
  const pool = createPool<Connection>({
    open,
    max: maxConnections,
    waitMs: limitMs,
    idleMs: IDLE_MS,
  });
  const subscriptions = new Set<() => Promise<void>>();
  const listening = createListening<Connection>();
  // A third connection is left for everyone else.
  const shared = maxConnections > 2 ? null : createPipeline(pool);
  return {
    name: "postgres.js",
    single: maxConnections === 1,
    // With a single connection it would shut out all others for as long as statements flow.
    ...(maxConnections > 1 && {
      pipeline(afterHints = false) {
        const use = shared ?? createPipeline(pool);
        return <Row extends object>(text: string, params?: readonly SqlParam[]) => {
          const run = (connection: Connection) => connection.query<Row>(text, params);
          return (afterHints ? listening.use(run) : null) ?? use(run);
        };
      },
    }),
    inOrder: (work) => pool.use(work),
    query: (text, params) => pool.use((connection) => connection.query(text, params)),
    script: (text) => pool.use((connection) => connection.script(text)),
    transaction: <T>(work: (tx: SqlTransaction) => Promise<T>) =>
      pool.use((connection) => connection.transaction(work)),
    ...(session && {
      listen(channel, onNotify, onListening) {
        const stop = listener(
          // One that stands has its session warm: the first claim, which goes over it, waits for less.
          async () => listenOn(pool.take() ?? await open(), listening, channel, onNotify),
          onListening,
        );
        subscriptions.add(stop);
        return () => (subscriptions.delete(stop), stop());
      },
    }),
    async close() {
      await Promise.all([...subscriptions].map((stop) => stop()));
      subscriptions.clear();
      await pool.close();
      deadlines.close();
    },
  };
}

/** A pooler in transaction mode knows of no session, and may refuse what it does not know. */
function parametersOf(options: OpenOptions, limitMs: number): Record<string, string | number> {
  const application_name = options.applicationName ?? "dispatch";
  if (options.session === false) return { application_name };
  return {
    application_name,
    statement_timeout: limitMs,
    // The locks of a machine that has vanished are free after a minute instead of two hours.
    tcp_keepalives_idle: 30,
    tcp_keepalives_interval: 10,
    tcp_keepalives_count: 3,
  };
}

async function listenOn(
  connection: Connection,
  listening: Listening<Connection>,
  channel: string,
  onNotify: (payload: string) => void,
): Promise<ListenConnection> {
  connection.onNotify = (name, payload) => name === channel && onNotify(payload);
  try {
    await connection.script(`LISTEN "${channel.replaceAll('"', '""')}"`);
  } catch (error) {
    await connection.end();
    throw error;
  }
  listening.add(connection);
  return {
    lost: connection.lost,
    async close() {
      await listening.remove(connection);
      await connection.end();
    },
    // What is under way has a limit of its own, and may have to wait for a lock.
    ping: async () => listening.isInUse(connection, PING_MS) || await connection.query("SELECT 1"),
  };
}

/** The URL is not shown: it may hold a password. */
function notAUrl(): DispatchError {
  return new DispatchError(
    "unsupported_client",
    "Cannot read the address of the database as a URL",
    {
      hint: "It looks like postgres://user:password@host:5432/database.",
    },
  );
}
