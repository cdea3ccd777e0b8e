/** Migrations among processes: many that start at once, older ones at work, one that is killed. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import postgres from "postgres";
import type { SqlDriver } from "../../src/sql/driver.ts";
import { openPostgres } from "../../src/sql/open.ts";
import { apply, type Migration, MIGRATIONS, status } from "../../src/store/postgres/migrations.ts";
import { postgresStore } from "../../src/store/postgres/store.ts";
import { example } from "../examples/run.ts";
import { createDatabase } from "../postgres.ts";
import { kill } from "../sql/suite/helpers.ts";
import { Load, pause, until } from "./load.ts";

const NEXT = MIGRATIONS.length + 1;

/** A later release that changes the tables in which workers of this one are at work. */
const later = (script: Migration["script"]): Migration[] => [
  ...MIGRATIONS,
  { version: NEXT, title: "later", script },
];

const harmless = later((s) => `
  alter table ${s}.finished add column note text;
  alter table ${s}.jobs add column note text;
  create index jobs_note on ${s}.jobs (note) where note is not null;
  create table ${s}.notes (id int4);`);

/** Waits until some process is in the middle of a migration that sleeps, or until none is any more. */
async function asleep(driver: SqlDriver, sleepers: 0 | 1): Promise<void> {
  await until(`${sleepers} migrations are under way`, async () => {
    const [{ n }] = await driver.query<{ n: number }>(`select count(*)::int4 as n
      from pg_stat_activity where datname = current_database() and state <> 'idle'
        and query like '%pg_sleep%' and pid <> pg_backend_pid()`);
    return n === sleepers;
  });
}

describe("a migration", () => {
  it("is made once by ten processes that start at once on an empty database", async () => {
    await using database = await createDatabase();
    const outputs = await Promise.all(
      Array.from(
        { length: 10 },
        () => example("src/extension/migrate.ts", { env: { DATABASE_URL: database.url } }).output(),
      ),
    );
    const said = outputs.map(({ stdout }) => new TextDecoder().decode(stdout).trim());
    assertEquals(outputs.map(({ code }) => code), outputs.map(() => 0), said.join("\n"));
    assertEquals(said.filter((line) => line.includes("went from version 0")).length, 1);
  });

  it("is safe while workers of the version before claim and settle", async () => {
    await using database = await createDatabase();
    const store = postgresStore(database.url);
    await using load = new Load(null, { store });
    await load.start(20);
    await load.works();
    const driver = await openPostgres(database.url);
    assertEquals(await apply(driver, "dispatch", NEXT, harmless), [NEXT]);
    await load.works();
    await load.verify();
    assertEquals(load.errors, []);
    await load.ext.stop();
    await store.close();
    await driver.close();
  });

  it("waits for a long reader in short spells, between which workers go on", async () => {
    await using database = await createDatabase();
    const store = postgresStore(database.url);
    await using load = new Load(null, { store });
    await load.start(5);
    const driver = await openPostgres(database.url);
    const sql = postgres(database.url, { max: 1, onnotice() {} });
    let done = false;
    let migrating = Promise.resolve<number[]>([]);
    await sql.begin(async (tx) => { // as a backup does
      await tx`lock table dispatch.finished, dispatch.jobs in access share mode`;
      migrating = apply(driver, "dispatch", NEXT, harmless).finally(() => (done = true));
      await pause(3000); // longer than it waits for a lock
      assert(!done, "it cannot have come by its locks");
      await load.works();
    });
    assertEquals(await migrating, [NEXT]);
    await load.verify();
    assertEquals(load.errors, []);
    await load.ext.stop();
    await Promise.all([store.close(), driver.close(), sql.end()]);
  });

  it("leaves nothing behind when its process is killed in the middle, and can then be made", async () => {
    await using database = await createDatabase();
    const driver = await openPostgres(database.url);
    await apply(driver, "dispatch");
    const child = example("tests/scenarios/migrating.ts", {
      env: { DATABASE_URL: database.url },
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    await asleep(driver, 1);
    child.kill("SIGKILL");
    await child.status;
    await asleep(driver, 0); // the server has noticed
    const [{ there }] = await driver.query<{ there: boolean }>(
      "select to_regclass('dispatch.half') is not null as there",
    );
    assertEquals(there, false);
    assertEquals((await status(driver, "dispatch")).current, MIGRATIONS.length);
    assertEquals(await apply(driver, "dispatch", NEXT, harmless), [NEXT]);
    await driver.close();
  });

  it("leaves nothing behind when its connection is killed in the middle", async () => {
    await using database = await createDatabase();
    const driver = await openPostgres(database.url);
    const watcher = await openPostgres(database.url, { maxConnections: 1 });
    const slow = later((s) => `create table ${s}.half (id int4); select pg_sleep(20);`);
    const failed = apply(driver, "dispatch", NEXT, slow).then(() => null, (error) => error);
    await asleep(watcher, 1);
    await kill(database.url);
    assertEquals((await failed)?.code, "store_unreachable");
    await until("it is back", async () => (await status(driver, "dispatch")).current === 0);
    assertEquals((await apply(driver, "dispatch")).length, MIGRATIONS.length);
    await Promise.all([driver.close(), watcher.close()]);
  });
});
