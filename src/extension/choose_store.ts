/** Which store an extension works on. */

import type { Clock } from "../core/clock.ts";
import type { Logger } from "../core/logger.ts";
import { memoryStore } from "../store/memory/store.ts";
import type { Store } from "../store/store.ts";
import { databaseUrl, type Environment } from "./database_url.ts";
import type { Handle, Registry, RegistryEntry } from "./registry.ts";

/** A store that was made for an extension, and how to let go of all that was opened for it. */
export interface OpenedStore {
  readonly store: Store;
  close(): Promise<void>;
}

/**
 * Makes a store of a handle of the registry, whose name errors mention. A handle that is text or a
 * function is opened by it, and closed by `close`; a client that the user made is left as it is.
 */
export type OpenStore = (handle: Handle, name: string, tools: Tools) => Promise<OpenedStore>;

/** What a store that is opened is given. */
export interface Tools {
  /** Its clock, where a test holds one. */
  readonly clock: Clock;
  /** Where it tells of outages. */
  readonly logger: Logger;
}

/** How each kind of handle becomes a store. */
export interface Openers {
  readonly database: OpenStore;
  readonly kv: OpenStore;
}

/** The openers of the stores that there are. Only the one that is wanted is loaded, with its store. */
export const OPENERS: Openers = {
  database: async (...how) => (await import("./open_database.ts")).openDatabase(...how),
  kv: async (...how) => (await import("./open_kv.ts")).openKvStore(...how),
};

/** What a store is chosen by. */
export interface StoreChoice extends Tools {
  /** 1: this very store. */
  readonly store?: Store;
  /** 2: the database of this name. */
  readonly groveDatabase?: string;
  /** 3: the KV of this name. */
  readonly groveKv?: string;
  /** Where the names are looked up. */
  readonly registry: Registry;
}

/**
 * Chooses and opens the store. The name is looked up first, so that an unknown one has its own error.
 *
 * @throws {DispatchError} `unknown_database`, `unknown_kv`, `store_not_available`
 */
export async function chooseStore(
  choice: StoreChoice,
  { openers, environment }: { openers: Openers; environment?: Environment },
): Promise<OpenedStore> {
  const { store, groveDatabase, groveKv, registry, clock } = choice;
  if (store !== undefined) return { store, close: () => Promise.resolve() };
  if (groveDatabase !== undefined) {
    const { name, handle } = findDatabase(registry, groveDatabase, environment);
    return await openers.database(handle, name, choice);
  }
  if (groveKv !== undefined) {
    const { name, handle } = registry.kvs.get(groveKv);
    return await openers.kv(handle, name, choice);
  }
  const memory = memoryStore({ clock });
  return { store: memory, close: () => memory.close() };
}

/** The default database of a registry that holds none is the one that `DATABASE_URL` names. */
function findDatabase({ databases }: Registry, name: string, read?: Environment): RegistryEntry {
  if (databases.names.length > 0 || (name !== "" && name !== "default")) return databases.get(name);
  const unnamed = "the default database: the registry holds no database";
  const instead = "Add one with registry.addDatabase(name, handle)";
  return { name: "default", handle: databaseUrl({ unnamed, instead, read }) };
}

/** What should be said once at start about how the store was chosen, or `null`. */
export function storeWarning(choice: StoreChoice): string | null {
  const { store, groveDatabase, groveKv, registry } = choice;
  if (store !== undefined) return null;
  if (groveDatabase !== undefined) {
    return groveKv === undefined ? null : "groveKv is not used: groveDatabase comes first";
  }
  if (groveKv !== undefined) return null;
  const [database] = registry.databases.names;
  const [kv] = registry.kvs.names;
  const remedy = database !== undefined
    ? `to use the registered database, set groveDatabase: ${JSON.stringify(database)}`
    : kv !== undefined
    ? `to use the registered KV, set groveKv: ${JSON.stringify(kv)}`
    : "for a store that does, set groveKv, groveDatabase or `store`";
  return `jobs are kept in memory: nothing survives a restart; ${remedy}`;
}
