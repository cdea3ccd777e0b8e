/**
 * The Postgres store by itself, for those who pass `store`, and its migrations.
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

export { postgresStore, type PostgresStoreOptions } from "./store.ts";
