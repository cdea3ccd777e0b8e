import { describe, it } from "@std/testing/bdd";
import { openPostgres } from "../../src/sql/open.ts";
import { postgresStore } from "../../src/store/postgres/store.ts";
import { testStore } from "../../src/testing/mod.ts";
import { createDatabase } from "../postgres.ts";

const database = await createDatabase();
let schemas = 0;

// As where changes are captured: there a table that cannot tell its rows apart takes no updates.
const driver = await openPostgres(database.url);
await driver.query("create publication everything for all tables");
await driver.close();

describe("postgresStore() over a URL", () => {
  testStore({
    name: "postgres",
    test: it,
    open: ({ clock }) => {
      const schema = `case_${++schemas}`; // a schema takes 30 ms, a database 200
      const open = () => postgresStore(database.url, { clock, schema, maxConnections: 4 });
      return Promise.resolve({ store: open(), peer: () => Promise.resolve(open()) });
    },
  });
});
