/**
 * The Deno KV store by itself, for those who pass `store`.
 *
 * @example
 * ```ts
 * import { createExtension } from "@dispatch/dispatch";
 * import { kvStore } from "@dispatch/dispatch/kv";
 *
 * const store = kvStore(":memory:", { prefix: "jobs" });
 * const dispatch = createExtension({ store, config: false }); // the store is yours to close
 * await store.close();
 * ```
 *
 * @module
 */

export { kvStore, type KvStoreOptions } from "./store.ts";
export type { KvAtomic, KvClient, KvEntry, KvKey, KvListOptions, KvSelector } from "./client.ts";
