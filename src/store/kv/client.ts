/**
 * What is used of a Deno KV, told by its shape: `Deno.Kv` fits it, and so does the `Kv` of the npm
 * package `@deno/kv`, so that neither has to be there.
 */

/** A key: parts from the general to the special. */
export type KvKey = readonly (Uint8Array | string | number | bigint | boolean | symbol)[];

/** What is found under a key; both `value` and `versionstamp` are null where nothing is. */
export interface KvEntry {
  /** Its key. */
  readonly key: KvKey;
  /** What was written. */
  readonly value: unknown;
  /** Of the write; later writes have higher ones. */
  readonly versionstamp: string | null;
}

/** Which keys to list. */
export type KvSelector =
  | { prefix: KvKey }
  | { prefix: KvKey; start: KvKey }
  | { prefix: KvKey; end: KvKey }
  | { start: KvKey; end: KvKey };

/** How to list them. */
export interface KvListOptions {
  /** At most so many. */
  limit?: number;
  /** From the last one on. */
  reverse?: boolean;
  /** So many are read at a time. */
  batchSize?: number;
}

/** Writes that happen together, if what they check is as expected. */
export interface KvAtomic {
  /** Has the commit fail where a key was written since. */
  check(...checks: { key: KvKey; versionstamp: string | null }[]): this;
  /** Writes a value. */
  set(key: KvKey, value: unknown): this;
  /** Removes a key. */
  delete(key: KvKey): this;
  /** Adds to a counter of 64 bits, around whose end it goes. */
  sum(key: KvKey, n: bigint): this;
  /** Does it all, or nothing where a check fails. */
  commit(): Promise<{ ok: true; versionstamp: string } | { ok: false }>;
}

/** An open KV. */
export interface KvClient {
  /** Reads one key. */
  get(key: KvKey): Promise<KvEntry>;
  /** Reads at most ten keys as they are at one moment. */
  getMany(keys: KvKey[]): Promise<KvEntry[]>;
  /** Reads keys in their order. */
  list(selector: KvSelector, options?: KvListOptions): AsyncIterableIterator<KvEntry>;
  /** Begins writes. */
  atomic(): KvAtomic;
  /** Closes it. */
  close(): void;
}

/** True for an open KV. */
export function isKvClient(handle: unknown): handle is KvClient {
  return hasMethods(handle, "get", "getMany", "list", "atomic", "close");
}

/** True for writes that somebody has begun on a KV. */
export function isKvAtomic(tx: unknown): tx is KvAtomic {
  return hasMethods(tx, "check", "set", "delete", "sum", "commit");
}

function hasMethods(value: unknown, ...names: string[]): boolean {
  return typeof value === "object" && value !== null &&
    names.every((name) => typeof (value as Record<string, unknown>)[name] === "function");
}
