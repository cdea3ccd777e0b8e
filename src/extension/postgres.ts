/**
 * The Postgres store by itself, for those who pass `store`.
 *
 * @example
 * ```ts
 * import { createExtension } from "@dispatch/dispatch";
 * import { postgresStore } from "@dispatch/dispatch/postgres";
 *
 * const store = postgresStore("postgres://localhost/app", { schema: "jobs" });
 * const dispatch = createExtension({ store, config: false }); // the store is yours to close
 * await store.close();
 * ```
 *
 * @module
 */

import { postgresStore as storeOf, type PostgresStoreOptions } from "../store/postgres/store.ts";
import type { Store } from "../store/store.ts";
import { databaseUrl } from "./database_url.ts";

export type { PostgresStoreOptions } from "../store/postgres/store.ts";

/**
 * A store in PostgreSQL: durable, and shared by any number of processes.
 *
 * @param client a `postgres://` URL, which the store opens and closes, or a client of postgres.js,
 * node-postgres, @db/postgres or PGlite, which stays the caller's. Default: the URL in
 * `DATABASE_URL`.
 * @throws {DispatchError} `unsupported_client`, `invalid_option`, and `unknown_database` where
 * neither is there
 */
export function postgresStore(
  client: string | object | undefined = undefined,
  options: PostgresStoreOptions = {},
): Store {
  const database = client ?? databaseUrl({
    unnamed: "a database: no client was passed",
    instead: "Pass a postgres:// URL or a client",
  });
  return storeOf(database, options);
}
