/** When an enqueue has resolved, its job is on the disk; others may hear of it before. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { SqlDriver } from "../../src/sql/driver.ts";
import { openPostgres } from "../../src/sql/open.ts";
import { SqlError } from "../../src/sql/sql_error.ts";
import { Database } from "../../src/store/postgres/database.ts";
import { statements } from "../../src/store/postgres/statements.ts";
import { postgresStore } from "../../src/store/postgres/store.ts";
import { newJob } from "../../src/testing/suite/context.ts";
import { createDatabase } from "../postgres.ts";

const FLUSH = { flush: "flush", flushParams: [], otherwise: "otherwise" };

/** A driver that writes down what it is asked, and answers or refuses each statement after the other. */
function fake(refused: Record<string, Error>, ordered = true) {
  const asked: string[] = [];
  const query = (text: string) => {
    asked.push(text);
    return text in refused ? Promise.reject(refused[text]) : Promise.resolve([{ text }]);
  };
  const driver = {
    query,
    ...(ordered && { inOrder: (work: (c: unknown) => unknown) => work({ query }) }),
  };
  const database = new Database(
    "dispatch",
    undefined,
    () => Promise.resolve(driver as unknown as SqlDriver),
  );
  return { asked, ahead: () => database.ahead("early", [], FLUSH) };
}

const error = (sqlState: string) =>
  new SqlError("no", { sqlState, transient: false, uncertain: false });

describe("Database.ahead()", () => {
  it("resolves when the statement and what waits for the disk are both answered", async () => {
    const { asked, ahead } = fake({});
    assertEquals(await ahead(), [{ text: "early" }]);
    assertEquals(asked, ["early", "flush"]);
  });

  it("fails as the statement did, also where the disk was waited for", async () => {
    const duplicate = error("23505");
    assertEquals(await assertRejects(fake({ early: duplicate }).ahead), duplicate);
    assertEquals(
      await assertRejects(fake({ early: duplicate, flush: error("57014") }).ahead),
      duplicate,
    );
  });

  it("promises nothing where only the wait has failed, whatever of: the store is unreachable", async () => {
    for (const state of ["57014", "57P01", "42501"]) {
      const thrown = await assertRejects(fake({ flush: error(state) }).ahead) as SqlError;
      assertEquals([thrown.code, thrown.transient, thrown.uncertain], [
        "store_unreachable",
        true,
        true,
      ]);
    }
  });

  it("runs the statement that waits itself, where the client cannot send two at once", async () => {
    const { asked, ahead } = fake({}, false);
    assertEquals(await ahead(), [{ text: "otherwise" }]);
    assertEquals(asked, ["otherwise"]);
  });
});

describe("a lone enqueue that tells others", () => {
  it("commits before the disk has it, and no other statement of its session does", async () => {
    await using database = await createDatabase();
    const store = postgresStore(database.url);
    await store.migrate();
    const driver = await openPostgres(database.url);
    const setting = "select current_setting('synchronous_commit') as value";
    const { enqueueAhead, enqueueAndTell } = statements("dispatch");
    for (const [text, during] of [[enqueueAhead, "off"], [enqueueAndTell, "on"]] as const) {
      await driver.transaction(async (tx) => {
        await tx.query(text, [crypto.randomUUID(), "null", "mail", "default", "channel"]);
        assertEquals(await tx.query(setting), [{ value: during }]);
      });
    }
    assertEquals(await driver.query(setting), [{ value: "on" }]);
    await store.jobs.enqueue([newJob()], true);
    const { pending } = await store.jobs.counts();
    assertEquals(pending, 3);
    const [{ n }] = await driver.query<{ n: number }>(
      "select count(*)::int4 as n from dispatch.tallies where n = 0",
    );
    assert(n === 1, "nothing has waited for the disk");
    await driver.close();
    await store.close();
  });
});
