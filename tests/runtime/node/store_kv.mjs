/** The conformance suite on Deno KV with `@deno/kv`. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { openKv } from "@deno/kv";
import { kvStore } from "@dispatch/dispatch/kv";
import { testStore } from "@dispatch/dispatch/testing";

testStore({
  name: "kv",
  test,
  open: async ({ clock }) => {
    const folder = await mkdtemp(`${tmpdir()}/dispatch-kv-`);
    const kv = await openKv(`${folder}/kv.sqlite`);
    const open = () => kvStore(kv, { clock });
    return {
      store: open(),
      peer: () => Promise.resolve(open()),
      async dispose() {
        kv.close();
        await rm(folder, { recursive: true });
      },
    };
  },
});
