import { isSqlClient } from "../sql/detect.ts";
import { postgresStore } from "../store/postgres/store.ts";
import type { OpenedStore, Tools } from "./choose_store.ts";
import { makeClient } from "./make_client.ts";
import type { Handle } from "./registry.ts";

/**
 * Makes a Postgres store of a database of the registry: a URL, a client, or a function that returns
 * one of these.
 *
 * @throws {DispatchError} `unsupported_client`, or `store_unreachable` where the function throws
 */
export async function openDatabase(
  handle: Handle,
  name: string,
  { clock, logger }: Tools,
): Promise<OpenedStore> {
  // A client of postgres.js is a function as well.
  const makes = typeof handle === "function" && !isSqlClient(handle);
  const client = makes
    ? await makeClient(handle as () => unknown, `database ${JSON.stringify(name)}`)
    : handle;
  const store = postgresStore(client as string | object, { clock, logger });
  return {
    store,
    async close() {
      await store.close();
      if (makes && typeof client !== "string") await end(client as Client);
    },
  };
}

/** How clients are closed: `end` with most of them, `close` with PGlite. */
interface Client {
  end?(): Promise<void>;
  close?(): Promise<void>;
}

async function end(client: Client): Promise<void> {
  await (client.end ?? client.close)?.call(client);
}
