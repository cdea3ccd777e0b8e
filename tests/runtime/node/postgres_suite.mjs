/** The conformance suite on Postgres, over any client: every case gets a schema of its own. */
import { after, test } from "node:test";
import { postgresStore } from "@dispatch/dispatch/postgres";
import { testStore } from "@dispatch/dispatch/testing";

export function testPostgres(name, client) {
  let schemas = 0;
  testStore({
    name,
    test,
    open: ({ clock }) => {
      const schema = `case_${process.pid}_${++schemas}`;
      const open = () => postgresStore(client, { clock, schema });
      return Promise.resolve({ store: open(), peer: () => Promise.resolve(open()) });
    },
  });
  after(() => client.end());
}
