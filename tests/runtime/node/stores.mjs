/** The conformance suite on every store, with the clients that Node has. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { memoryStore, postgresStore } from "@dispatch/dispatch";
import { testStore } from "@dispatch/dispatch/testing";
import pg from "pg";
import postgres from "postgres";

const { DATABASE_URL, WITH_KV } = process.env;

testStore({
  name: "memory",
  test,
  open: async ({ clock }) => ({ store: memoryStore({ clock }) }),
});

let schemas = 0;

/** Every case gets a schema, all of them the same client. */
function testPostgres(name, client) {
  testStore({
    name,
    test,
    open: async ({ clock }) => {
      const schema = `${name}_${process.pid}_${++schemas}`.replaceAll(/\W/g, "_");
      const open = () => postgresStore(client, { clock, schema });
      return { store: open(), peer: async () => open() };
    },
  });
  after(() => client.end());
}

testPostgres("pg", new pg.Pool({ connectionString: DATABASE_URL, max: 8 }));
testPostgres("postgres_js", postgres(DATABASE_URL, { max: 8, onnotice() {} }));

if (WITH_KV) {
  const { kvStore } = await import("@dispatch/dispatch/kv");
  const { openKv } = await import("@deno/kv");
  testStore({
    name: "kv",
    test,
    open: async ({ clock }) => {
      const folder = await mkdtemp(`${tmpdir()}/dispatch-kv-`);
      const kv = await openKv(`${folder}/kv.sqlite`);
      return {
        store: kvStore(kv, { clock }),
        peer: async () => kvStore(kv, { clock }),
        async dispose() {
          kv.close();
          await rm(folder, { recursive: true });
        },
      };
    },
  });
} else {
  test("kv: no store of that kind is in this package", { skip: "it has no entry point ./kv" });
}
