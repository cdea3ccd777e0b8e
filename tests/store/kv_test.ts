import { describe, it } from "@std/testing/bdd";
import { kvStore } from "../../src/store/kv/store.ts";
import { testStore } from "../../src/testing/mod.ts";

describe("kvStore()", () => {
  testStore({
    name: "kv",
    test: it,
    async open({ clock }) {
      const folder = await Deno.makeTempDir({ prefix: "dispatch-kv-" });
      const path = `${folder}/jobs.kv`;
      return {
        store: kvStore(path, { clock }),
        peer: () => Promise.resolve(kvStore(path, { clock })),
        dispose: () => Deno.remove(folder, { recursive: true }),
      };
    },
  });
});
