/** What every SQL driver must do, whichever client is behind it. */

import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import type { SqlDriver, SqlOptions } from "../../src/sql/driver.ts";
import { createDatabase } from "../postgres.ts";
import { callerCases } from "./suite/caller.ts";
import { errorCases } from "./suite/errors.ts";
import { listenCases } from "./suite/listen.ts";
import { outageCases } from "./suite/outages.ts";
import { transactionCases } from "./suite/transactions.ts";
import { typeCases } from "./suite/types.ts";

/** A driver with the client behind it. */
export interface Opened {
  readonly driver: SqlDriver;
  /** Opens a transaction as a user of the client does; rolls back when `work` throws. */
  inTransaction(work: (handle: unknown) => Promise<void>): Promise<void>;
  /** Closes the client; the driver is closed before. */
  end(): Promise<unknown>;
}

/** Where the cases of one driver run. */
export interface Database extends AsyncDisposable {
  readonly url: string;
}

/** Opens a driver on a database. */
export type Open = (url: string, options?: SqlOptions) => Promise<Opened>;

/** A case: its name, and what it does with a driver of its own. */
export interface Case {
  readonly name: string;
  /** `table` is the name of one that the case may create. */
  run(opened: Opened, at: { url: string; table: string }): Promise<void>;
  readonly options?: SqlOptions;
}

/** Cases that a driver cannot pass, each with the reason. */
export type Skips = Readonly<Record<string, string>>;

const GROUPS: Record<string, readonly Case[]> = {
  types: typeCases,
  errors: errorCases,
  transactions: transactionCases,
  "a transaction of the caller": callerCases,
  listening: listenCases,
  outages: outageCases,
};

/** Runs every case against a driver, in a database of its own. */
export function testDriver(
  name: string,
  open: Open,
  { skip = {}, database = createDatabase }: {
    skip?: Skips;
    database?: () => Promise<Database>;
  } = {},
): void {
  describe(`SQL driver over ${name}`, () => {
    let at: Database;
    beforeAll(async () => void (at = await database()));
    afterAll(() => at[Symbol.asyncDispose]());

    let tables = 0;
    for (const [group, cases] of Object.entries(GROUPS)) {
      describe(group, () => {
        for (const { name, run, options } of cases) {
          const reason = skip[name] ?? skip[group];
          if (reason !== undefined) {
            it.skip(`${name} (skipped: ${reason})`, () => {});
            continue;
          }
          it(name, async () => {
            const opened = await open(at.url, options);
            try {
              await run(opened, { url: at.url, table: `t${++tables}` });
            } finally {
              await opened.driver.close();
              await opened.end();
            }
          });
        }
      });
    }
  });
}
