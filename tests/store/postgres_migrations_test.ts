import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DispatchError } from "../../src/core/errors.ts";
import { openPostgres } from "../../src/sql/open.ts";
import {
  apply,
  MIGRATIONS,
  plan,
  requireCurrent,
  status,
} from "../../src/store/postgres/migrations.ts";
import { postgresStore } from "../../src/store/postgres/store.ts";
import { createDatabase } from "../postgres.ts";
import { until } from "../sql/suite/helpers.ts";
import { newJob } from "../../src/testing/suite/context.ts";

const LATEST = MIGRATIONS.length;

/** A later release, by one version. */
const LATER = [
  ...MIGRATIONS,
  {
    version: LATEST + 1,
    title: "more",
    script: (s: string) => `create table ${s}.more (id int4);`,
  },
];

async function refusal(call: () => Promise<unknown>): Promise<string> {
  const error = await assertRejects(call, DispatchError);
  assert(error.hint.length > 0);
  return error.code;
}

describe("migrations", () => {
  it("ten stores that start at once on an empty database migrate it once", async () => {
    await using database = await createDatabase();
    const stores = Array.from({ length: 10 }, () => postgresStore(database.url));
    await Promise.all(stores.map((store) => store.migrate()));
    await Promise.all(stores.map((store) => store.jobs.counts()));
    await Promise.all(stores.map((store) => store.close()));
    const driver = await openPostgres(database.url);
    const { current, applied, pending } = await status(driver, "dispatch");
    assertEquals([current, applied.length, pending], [LATEST, LATEST, []]);
    await driver.close();
  });

  it("a plan changes nothing, and says what would run", async () => {
    await using database = await createDatabase();
    const driver = await openPostgres(database.url);
    const scripts = await plan(driver, "jobs");
    assertEquals(scripts.length, LATEST);
    assert(scripts[0].includes('create table "jobs".jobs'));
    assertEquals((await status(driver, "jobs")).current, 0);
    assertEquals(await apply(driver, "jobs"), MIGRATIONS.map(({ version }) => version));
    assertEquals([await plan(driver, "jobs"), await apply(driver, "jobs")], [[], []]);
    await driver.close();
  });

  it("a process that may not migrate refuses a schema that is outdated or missing", async () => {
    await using database = await createDatabase();
    const driver = await openPostgres(database.url);
    assertEquals(await refusal(() => requireCurrent(driver, "dispatch")), "schema_outdated");
    await apply(driver, "dispatch");
    await requireCurrent(driver, "dispatch");
    await driver.close();
  });

  it("a database that is newer than the code, or of other code, is refused", async () => {
    await using database = await createDatabase();
    const driver = await openPostgres(database.url);
    await apply(driver, "dispatch", LATEST + 1, LATER);
    const store = postgresStore(database.url);
    assertEquals(await refusal(() => store.migrate()), "schema_newer");
    assertEquals(await refusal(() => requireCurrent(driver, "dispatch")), "schema_newer");
    await driver.query("delete from dispatch.migrations where version > $1::int4", [LATEST]);
    await store.migrate();
    await driver.query("update dispatch.migrations set checksum = 'edited'");
    assertEquals(await refusal(() => store.migrate()), "schema_newer");
    await store.close();
    await driver.close();
  });

  it("a version that fails leaves nothing behind", async () => {
    await using database = await createDatabase();
    const driver = await openPostgres(database.url);
    const broken = [...MIGRATIONS, {
      version: LATEST + 1,
      title: "broken",
      script: (s: string) => `create table ${s}.half (id int4); select 1 / 0;`,
    }];
    await assertRejects(() => apply(driver, "dispatch", LATEST + 1, broken));
    assertEquals((await status(driver, "dispatch")).current, 0);
    const [{ there }] = await driver.query<{ there: boolean }>(
      "select to_regclass('dispatch.half') is not null as there",
    );
    assertEquals(there, false);
    await driver.close();
  });

  it("several installations live in one database", async () => {
    await using database = await createDatabase();
    const [a, b] = ["one", "two"].map((schema) => postgresStore(database.url, { schema }));
    await Promise.all([a.migrate(), b.migrate()]);
    await a.queues.configure("mails", { paused: true });
    assertEquals([(await a.queues.list()).length, (await b.queues.list()).length], [1, 0]);
    await Promise.all([a.close(), b.close()]);
  });

  it("several installations in one database see neither jobs nor wakes of each other", async () => {
    await using database = await createDatabase();
    const [a, b, peerOfB] = ["one", "two", "two"].map((schema) =>
      postgresStore(database.url, { schema })
    );
    await Promise.all([a.migrate(), b.migrate()]);
    const woken = { a: 0, b: 0 };
    const claim = {
      workerId: "w",
      queues: ["default"],
      names: ["mail"],
      limit: 10,
      leaseMs: 60_000,
      suspects: false,
    };
    await Promise.all([a.jobs.claim(claim), b.jobs.claim(claim)]);
    const stops = [await a.onWake!(() => woken.a++), await b.onWake!(() => woken.b++)];
    await until(() => woken.a === 1 && woken.b === 1, "both have subscribed");
    await peerOfB.jobs.enqueue([newJob()]);
    await until(() => woken.b === 2, "the other process of the same installation is woken");
    assertEquals(woken.a, 1);
    assertEquals([(await a.jobs.claim(claim)).length, (await a.jobs.counts()).pending], [0, 0]);
    assertEquals((await b.jobs.claim(claim)).length, 1);
    await Promise.all(stops.map((stop) => stop()));
    await Promise.all([a, b, peerOfB].map((store) => store.close()));
  });

  it("a schema needs a plain name", () => {
    for (const schema of ["", "Dispatch", 'a"b', "pg_jobs", "x".repeat(49)]) {
      const error = assertThrown(() => postgresStore("postgres://localhost/none", { schema }));
      assertEquals(error.code, "invalid_option");
    }
  });
});

function assertThrown(call: () => unknown): DispatchError {
  try {
    call();
  } catch (error) {
    if (error instanceof DispatchError) return error;
  }
  throw new Error("It was taken");
}
