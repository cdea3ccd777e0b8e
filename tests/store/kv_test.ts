import { describe, it } from "@std/testing/bdd";
import { kvStore } from "../../src/store/kv/store.ts";
import { testStore } from "../../src/testing/mod.ts";
import { tempFolder } from "../kv.ts";

describe("kvStore()", () => {
  testStore({
    name: "kv",
    test: it,
    async open({ clock }) {
      const folder = await tempFolder();
      const path = `${folder.path}/jobs.kv`;
      return {
        store: kvStore(path, { clock }),
        peer: () => Promise.resolve(kvStore(path, { clock })),
        dispose: async () => await folder[Symbol.asyncDispose](),
      };
    },
  });
});
