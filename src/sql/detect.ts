import { DispatchError } from "../core/errors.ts";
import type { SqlAdapter, SqlDriver, SqlOptions, SqlTransaction } from "./driver.ts";
import { denoPostgres } from "./deno_postgres.ts";
import { pg } from "./pg.ts";
import { watched } from "./outage.ts";
import { pglite } from "./pglite.ts";
import { porsager } from "./porsager.ts";

/** Every SQL client that is known, in the order in which a handle is shown to them. */
const ADAPTERS: readonly SqlAdapter[] = [porsager, pg, denoPostgres, pglite];

/**
 * Wraps a client that the caller has opened, whichever of the supported ones it is; told by its
 * shape, so that none of them has to be installed. It stays the caller's to close.
 *
 * @throws {DispatchError} `unsupported_client`
 */
export function toSqlDriver(handle: unknown, options: SqlOptions = {}): SqlDriver {
  const adapter = adapterOf(handle);
  if (adapter === null) throw unsupported(handle, "a database client");
  return watched(adapter.driver(handle as object, options), options.logger);
}

/** True for a client that {@link toSqlDriver} takes. */
export function isSqlClient(handle: unknown): boolean {
  return adapterOf(handle) !== null;
}

/**
 * Wraps a transaction that the caller has opened, with whichever supported client. It stays the
 * caller's to commit.
 *
 * @throws {DispatchError} `unsupported_client`
 * @throws {SqlError} for a client that has not begun one
 */
export function toSqlTransaction(tx: unknown, options: SqlOptions = {}): SqlTransaction {
  if (isObject(tx)) {
    for (const adapter of ADAPTERS) {
      const transaction = adapter.transaction(tx, options);
      if (transaction !== null) return transaction;
    }
  }
  throw unsupported(tx, "an open transaction");
}

function adapterOf(handle: unknown): SqlAdapter | null {
  return isObject(handle) ? ADAPTERS.find((adapter) => adapter.accepts(handle)) ?? null : null;
}

function isObject(handle: unknown): handle is object {
  return typeof handle === "object" && handle !== null || typeof handle === "function";
}

function unsupported(handle: unknown, what: string): DispatchError {
  const found = isObject(handle)
    ? typeof handle === "function" ? "a function" : `a ${handle.constructor?.name ?? "object"}`
    : String(handle);
  return new DispatchError("unsupported_client", `Cannot use ${found} as ${what}`, {
    hint: `Supported are ${ADAPTERS.map(({ client }) => client).join("; ")}.`,
  });
}
