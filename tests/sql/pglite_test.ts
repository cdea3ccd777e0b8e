import { PGlite } from "@electric-sql/pglite";
import { toSqlDriver } from "../../src/sql/detect.ts";
import type { PGliteClient } from "../../src/sql/pglite.ts";
import { testDriver } from "./suite.ts";

/** One for all cases: it takes a second to start. */
let db: PGlite;

testDriver("PGlite", (_url, options) =>
  Promise.resolve({
    driver: toSqlDriver(db satisfies PGliteClient, options),
    inTransaction: (work) => db.transaction((tx) => work(tx)),
    end: () => Promise.resolve(),
  }), {
  async database() {
    db = new PGlite();
    await db.waitReady;
    return { url: "", [Symbol.asyncDispose]: () => db.close() };
  },
  skip: {
    "listens again after its connection was killed, and says so": "there is no server",
    outages: "there is no server, and nothing interrupts a statement",
  },
});
