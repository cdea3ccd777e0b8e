import * as client from "@db/postgres";
import type { DenoClient, DenoPool } from "../../src/sql/deno_postgres.ts";
import { toSqlDriver } from "../../src/sql/detect.ts";
import { type Opened, testDriver } from "./suite.ts";

const name = "standIn" in client ? "a stand-in for @db/postgres" : "@db/postgres";
const skip = { listening: "@db/postgres cannot listen: whoever uses it polls" };

async function inTransaction(client: DenoClient, work: (handle: unknown) => Promise<void>) {
  const tx = client.createTransaction("users_own");
  await tx.begin();
  try {
    await work(tx);
  } catch (error) {
    if (client.session.current_transaction !== null) await tx.rollback();
    throw error;
  }
  await tx.commit();
}

testDriver(`the pool of ${name}`, (url, options): Promise<Opened> => {
  const pool = new client.Pool(url, 5, true) satisfies DenoPool;
  return Promise.resolve({
    driver: toSqlDriver(pool, options),
    async inTransaction(work) {
      const client = await pool.connect();
      await inTransaction(client, work).finally(() => client.release());
    },
    end: () => pool.end(),
  });
}, { skip });

testDriver(`the client of ${name}`, async (url, options): Promise<Opened> => {
  const own = new client.Client(url) satisfies DenoClient;
  await own.connect();
  return {
    driver: toSqlDriver(own, options),
    inTransaction: (work) => inTransaction(own, work),
    end: () => own.end(),
  };
}, { skip });
