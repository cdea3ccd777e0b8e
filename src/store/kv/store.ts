import type { Clock } from "../../core/clock.ts";
import { DispatchError, show } from "../../core/errors.ts";
import type { Store } from "../store.ts";
import { isKvClient, type KvClient } from "./client.ts";
import { Database } from "./database.ts";
import { KvDeadLetters } from "./dead_letters.ts";
import { KvEvents } from "./events.ts";
import { MAX_BYTES } from "./format.ts";
import { KvJobs } from "./jobs.ts";
import { checkLayout, markLayout } from "./layout.ts";
import { openKv } from "./open.ts";
import { makeParts } from "./parts.ts";
import { KvQueues } from "./queues.ts";
import { KvRuns } from "./runs.ts";
import { KvTransactions } from "./transactions.ts";
import { Wake } from "./wake.ts";

/** What {@link kvStore} takes. */
export interface KvStoreOptions {
  /** First part of every key; one KV may hold several installations. Default `"dispatch"`. */
  prefix?: string;
  /**
   * How long a job that another process enqueued may stay unnoticed, in milliseconds: each process looks
   * for news that often while it is idle. 0 does not look, workers then poll. Default 250, for a URL
   * 1,000.
   */
  wakeIntervalMs?: number;
  /** A test's clock. Default: the machine's, which processes on other machines should agree with. */
  clock?: Clock;
}

/**
 * A store in a Deno KV: durable with nothing to install, and shared by the processes of a machine.
 *
 * @param kv the path of a file or the URL of a KV Connect server, which the store opens and closes, or
 * an open KV (of Deno, or of the npm package `@deno/kv`), which stays the caller's
 * @throws {DispatchError} `unsupported_client`, `invalid_option`
 *
 * @example
 * ```ts
 * import { createExtension, kvStore } from "@dispatch/dispatch";
 *
 * const store = kvStore(":memory:"); // or a path such as "./jobs.kv"
 * const ext = createExtension({ store, config: false });
 * await store.close();
 * ```
 */
export function kvStore(kv: string | KvClient, options: KvStoreOptions = {}): Store {
  if (typeof kv !== "string" && !isKvClient(kv)) throw unsupported(kv);
  const { prefix = "dispatch", clock } = options;
  const isRemote = typeof kv === "string" && /^https?:\/\//i.test(kv);
  const wakeMs = options.wakeIntervalMs ?? (isRemote ? 1000 : 250);
  if (!Number.isFinite(wakeMs) || wakeMs < 0) {
    throw new DispatchError("invalid_option", `Cannot look for news every ${show(wakeMs)} ms`);
  }
  const open = () => typeof kv === "string" ? openKv(kv) : Promise.resolve(kv);
  const database = new Database(prefix, clock, open);
  const wake = new Wake(database, wakeMs);
  const parts = makeParts(database, wake);
  return {
    name: "kv",
    durable: kv !== ":memory:",
    maxPayloadBytes: MAX_BYTES,
    jobs: new KvJobs(parts),
    deadLetters: new KvDeadLetters(parts),
    queues: new KvQueues(parts),
    runs: new KvRuns(parts),
    events: new KvEvents(parts),
    transactions: new KvTransactions(parts),
    migrate: () => markLayout(database),
    checkSchema: async () => void await checkLayout(database),
    ping: async () => void await database.get(database.keys.version()),
    async close() {
      wake.close();
      if (typeof kv === "string") await database.close();
    },
    onWake: (waker) => Promise.resolve(wake.listen(waker)),
  };
}

function unsupported(kv: unknown): DispatchError {
  const found = typeof kv === "object" && kv !== null
    ? `a ${kv.constructor?.name ?? "object"}`
    : show(kv);
  return new DispatchError("unsupported_client", `Cannot use ${found} as a KV`, {
    hint:
      "Supported are a path, an http(s):// URL, and an open KV, of the runtime or of npm's @deno/kv.",
  });
}
