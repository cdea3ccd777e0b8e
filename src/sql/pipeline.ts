import type { Pool, Pooled } from "./pool.ts";

/** What a pipeline has of the pool as long as somebody uses it. */
interface Lent<Connection> {
  readonly connection: Promise<Connection>;
  users: number;
  giveBack(): void;
}

/**
 * Lends one connection of a pool to all who ask at the same time, for a client that sends statements
 * without waiting for the answers before. The server takes them in their order, and has the next one
 * at hand when one is done. Nobody can be lent the connection for a transaction meanwhile.
 */
export function createPipeline<Connection extends Pooled>(
  pool: Pool<Connection>,
): Pool<Connection>["use"] {
  let lent: Lent<Connection> | null = null;

  function lend(): Lent<Connection> {
    let giveBack = (): void => {};
    const done = new Promise<void>((resolve) => (giveBack = resolve));
    const connection = new Promise<Connection>((resolve, reject) => {
      pool.use((connection) => (resolve(connection), done), 0).catch(reject);
    });
    return { connection, users: 0, giveBack };
  }

  return async (work) => {
    const mine = lent ??= lend();
    mine.users++;
    try {
      const connection = await mine.connection;
      if (connection.broken && lent === mine) lent = null; // who comes later has another one
      return await work(connection);
    } finally {
      if (--mine.users === 0) {
        if (lent === mine) lent = null;
        mine.giveBack();
      }
    }
  };
}
