/** What tests of the KV store share. */

import type { KvClient } from "../src/store/kv/client.ts";
import type { ClaimRequest } from "../src/store/store.ts";

/** A folder that is removed at the end of its block. */
export interface TempFolder extends AsyncDisposable {
  /** Where it is. */
  readonly path: string;
}

/** Makes an empty folder. */
export async function tempFolder(): Promise<TempFolder> {
  const path = await Deno.makeTempDir({ prefix: "dispatch-kv-" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** What a {@link trouble} does to the commits of a KV. */
export interface Trouble {
  /** Checks that a commit may have, as `@deno/kv` and servers have it. */
  readonly maxChecks?: number;
  /** Called before each commit: what it throws, the commit throws. */
  readonly before?: () => void;
}

/** A KV whose commits get into trouble. */
export function troubled(kv: KvClient, { maxChecks = Infinity, before }: Trouble): KvClient {
  return {
    get: (key) => kv.get(key),
    getMany: (keys) => kv.getMany(keys),
    list: (selector, options) => kv.list(selector, options),
    close: () => kv.close(),
    atomic() {
      const op = kv.atomic();
      let checks = 0;
      const { check, commit } = op;
      op.check = (...asked) => {
        checks += asked.length;
        return check.apply(op, asked);
      };
      // deno-lint-ignore require-await -- a throw is to be a rejection
      op.commit = async () => {
        if (checks > maxChecks) throw new TypeError(`Too many checks (max ${maxChecks})`);
        before?.();
        return commit.call(op);
      };
      return op;
    },
  };
}

/** Asks for plain jobs. */
export const CLAIM: ClaimRequest = {
  workerId: "w",
  queues: ["default"],
  names: ["mail"],
  limit: 1000,
  leaseMs: 60_000,
  suspects: false,
};
