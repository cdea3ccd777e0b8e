import type { KvClient } from "../store/kv/client.ts";
import { kvStore } from "../store/kv/store.ts";
import type { OpenedStore, Tools } from "./choose_store.ts";
import { makeClient } from "./make_client.ts";
import type { Handle } from "./registry.ts";

/**
 * Makes a KV store of a KV of the registry: a path, a URL, an open KV, or a function that returns one of
 * these.
 *
 * @throws {DispatchError} `unsupported_client`, or `store_unreachable` where the function throws
 */
export async function openKvStore(
  handle: Handle,
  name: string,
  { clock }: Tools,
): Promise<OpenedStore> {
  const makes = typeof handle === "function";
  const kv = makes
    ? await makeClient(handle as () => unknown, `KV ${JSON.stringify(name)}`)
    : handle;
  const store = kvStore(kv as string | KvClient, { clock });
  return {
    store,
    async close() {
      await store.close();
      if (makes && typeof kv !== "string") (kv as KvClient).close();
    },
  };
}
