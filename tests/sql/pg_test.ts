// @ts-types="@types/pg"
import pg from "pg";
import { toSqlDriver } from "../../src/sql/detect.ts";
import type { PgClient } from "../../src/sql/pg.ts";
import { type Opened, testDriver } from "./suite.ts";

function inTransaction(client: PgClient): Opened["inTransaction"] {
  return async (work) => {
    await client.query("BEGIN");
    try {
      await work(client);
      await client.query("COMMIT");
    } catch (error) {
      await client.query("ROLLBACK");
      throw error;
    }
  };
}

testDriver("pg.Pool", (url, options) => {
  const pool = new pg.Pool({ connectionString: url, max: 5 });
  return Promise.resolve({
    driver: toSqlDriver(pool, options),
    async inTransaction(work) {
      const client = await pool.connect();
      await inTransaction(client as unknown as PgClient)(work).finally(() => client.release());
    },
    end: () => pool.end(),
  });
});

testDriver("pg.Client", async (url, options) => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return {
    driver: toSqlDriver(client, options),
    inTransaction: inTransaction(client as unknown as PgClient),
    end: () => client.end(),
  };
}, {
  skip: {
    "listens again after its connection was killed, and says so":
      "a client is one connection, which cannot come back",
    "goes on after its connections were killed": "a client is one connection",
    "fails the statement that is under way when its connection is killed, for now":
      "a client is one connection",
    "leaves nothing of a transaction whose connection was killed, whatever its callback does":
      "a client is one connection",
    "gives a statement up when its time is up, and goes on": "the statement holds the connection",
    "gives a transaction up when the time of a statement is up, and goes on":
      "the statement holds the connection",
  },
});
