import { openPostgres } from "../../src/sql/open.ts";
import { type Opened, testDriver } from "./suite.ts";
import type { SqlOptions } from "../../src/sql/driver.ts";

const open =
  (extra: { session?: boolean; maxConnections?: number }) =>
  async (url: string, options?: SqlOptions): Promise<Opened> => {
    const driver = await openPostgres(url, { maxConnections: 5, ...extra, ...options });
    return {
      driver,
      inTransaction: (work) => driver.transaction((tx) => work(tx.handle)),
      end: () => Promise.resolve(),
    };
  };

testDriver("a postgres:// URL", open({}));
testDriver("a postgres:// URL with one connection", open({ maxConnections: 1 }));
testDriver("a postgres:// URL without a session", open({ session: false }), {
  skip: { listening: "a pooler in transaction mode cannot listen" },
});
