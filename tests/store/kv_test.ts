import { describe, it } from "@std/testing/bdd";
import { openKv } from "../../src/store/kv/open.ts";
import { kvStore } from "../../src/store/kv/store.ts";
import { testStore } from "../../src/testing/mod.ts";
import { tempFolder, troubled } from "../kv.ts";
import { audit } from "../kv_audit.ts";

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

describe("kvStore() of a KV that takes 10 checks and is locked now and then", () => {
  testStore({
    name: "kv",
    test: it,
    async open({ clock }) {
      const kv = await openKv(":memory:");
      let commits = 0;
      const before = () => {
        if (++commits % 7 === 3) throw new TypeError("database is locked");
      };
      const bad = () => kvStore(troubled(kv, { maxChecks: 10, before }), { clock });
      return {
        store: bad(),
        peer: () => Promise.resolve(bad()),
        async dispose() {
          await audit(kv);
          kv.close();
        },
      };
    },
  });
});
