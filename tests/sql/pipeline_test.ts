import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { openPostgres } from "../../src/sql/open.ts";
import { createPipeline } from "../../src/sql/pipeline.ts";
import { createPool, type Pooled } from "../../src/sql/pool.ts";
import type { SqlError } from "../../src/sql/sql_error.ts";
import { createDatabase } from "../postgres.ts";

interface Fake extends Pooled {
  readonly id: number;
  broken: boolean;
}

function setup(max = 3) {
  const state = { opened: 0, ended: 0, down: false };
  const pool = createPool<Fake>({
    async open() {
      await Promise.resolve();
      if (state.down) throw Object.assign(new Error("refused"), { code: "ECONNREFUSED" });
      const end = () => Promise.resolve(void state.ended++);
      return { id: state.opened++, broken: false, end };
    },
    max,
    waitMs: 1000,
    idleMs: 1000,
  });
  return { pool, pipeline: createPipeline(pool), state };
}

const id = (fake: Fake) => Promise.resolve(fake.id);

describe("createPipeline()", () => {
  it("lends one connection to all who ask at the same time, and to no one else meanwhile", async () => {
    const { pool, pipeline, state } = setup();
    let open!: () => void;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const lent = Array.from(
      { length: 5 },
      (_, n) => pipeline(async (fake) => (await gate, [n, fake.id])),
    );
    const other = pool.use(id);
    open();
    assertEquals(await Promise.all(lent), [0, 1, 2, 3, 4].map((n) => [n, 0]));
    assertEquals(await other, state.opened - 1);
    await pool.close();
    assertEquals(state.ended, state.opened);
  });

  it("gives the connection back when nobody uses it", async () => {
    const { pool, pipeline, state } = setup(1);
    for (let i = 0; i < 3; i++) assertEquals([await pipeline(id), await pool.use(id)], [0, 0]);
    await assertRejects(() => pipeline(() => Promise.reject(new Error("no"))), Error, "no");
    assertEquals(await pool.use(id), 0);
    assertEquals(state.opened, 1);
    await pool.close();
  });

  it("lends another one while those who use one that broke have not noticed", async () => {
    const { pool, pipeline, state } = setup();
    let open!: () => void;
    const gate = new Promise<void>((resolve) => (open = resolve));
    const first = pipeline(async (fake) => {
      fake.broken = true;
      await gate;
      return fake.id;
    });
    await pipeline(id);
    assertEquals(await pipeline(id), 1);
    open();
    assertEquals(await first, 0);
    await pool.close();
    assertEquals(state.ended, 2);
  });

  it("tells all who wait that there is none, and asks again for the next", async () => {
    const { pool, pipeline, state } = setup();
    state.down = true;
    const refused = await Promise.allSettled([pipeline(id), pipeline(id)]);
    assert(refused.every(({ status }) => status === "rejected"));
    state.down = false;
    assertEquals(await pipeline(id), 0);
    await pool.close();
  });
});

/** A table whose commits wait for a lock where they should, and fail where a number comes twice. */
async function slowlyKept(url: string) {
  const driver = await openPostgres(url, { maxConnections: 4 });
  const other = await openPostgres(url, { maxConnections: 1 });
  await driver.script(`
    create table seen (at int unique deferrable initially deferred);
    create function wait() returns trigger language plpgsql as $$
    begin
      perform pg_advisory_xact_lock(new.at);
      return null;
    end $$;
    create constraint trigger wait after insert on seen deferrable initially deferred
      for each row execute function wait()`);
  return {
    driver,
    early: (at: number) =>
      driver.early!<{ at: number; pid: number }>(
        "insert into seen values ($1::int) returning at, pg_backend_pid() as pid",
        [at],
      ),
    /** The numbers that are kept. */
    seen: async () =>
      (await other.query<{ at: number }>("select at from seen order by at")).map(({ at }) => at),
    hold: (at: number) => other.query("select pg_advisory_lock($1::int)::text", [at]),
    letGo: (at: number) => other.query("select pg_advisory_unlock($1::int)", [at]),
    kill: (pid: number) => other.query("select pg_terminate_backend($1::int)", [pid]),
    close: () => Promise.all([driver.close(), other.close()]),
  };
}

describe("early rows of a postgres:// URL", () => {
  it("come before they are committed, which is told when it is so", async () => {
    await using database = await createDatabase();
    const t = await slowlyKept(database.url);
    await t.hold(1);
    let isKept = false;
    const { rows, kept } = await t.early(1);
    void kept.then(() => (isKept = true));
    assertEquals([rows[0].at, await t.seen(), isKept], [1, [], false]);
    await t.letGo(1);
    await kept;
    assertEquals(await t.seen(), [1]);
    await t.close();
  });

  it("are a transaction of their own among the statements around them", async () => {
    await using database = await createDatabase();
    const t = await slowlyKept(database.url);
    const insert = "insert into seen values ($1::int)";
    const twice = "insert into seen values ($1::int), ($1::int) returning at";
    const [, early] = await Promise.all([
      t.driver.pipeline!(insert, [1]),
      t.driver.early!(twice, [2]),
      t.driver.pipeline!(insert, [3]),
    ]);
    assertEquals(early.rows, [{ at: 2 }, { at: 2 }]);
    assertEquals((await assertRejects(() => early.kept) as SqlError).sqlState, "23505");
    assertEquals(await t.seen(), [1, 3]);
    await t.close();
  });

  it("do not come from a statement that fails, after which the connection goes on", async () => {
    await using database = await createDatabase();
    const t = await slowlyKept(database.url);
    const failed = t.driver.early!("select 1 / $1::int", [0]);
    const next = t.driver.pipeline!("select 1 as one");
    assertEquals((await assertRejects(() => failed) as SqlError).sqlState, "22012");
    assertEquals([await next, (await t.early(1)).rows[0].at], [[{ one: 1 }], 1]);
    await t.close();
  });

  it("are in doubt when the connection ends before it has told", async () => {
    await using database = await createDatabase();
    const t = await slowlyKept(database.url);
    await t.hold(1);
    const { rows, kept } = await t.early(1);
    await t.kill(rows[0].pid);
    const error = await assertRejects(() => kept) as SqlError;
    assertEquals([error.code, error.uncertain], ["store_unreachable", true]);
    assertEquals(await t.seen(), []);
    await t.letGo(1);
    await (await t.early(1)).kept;
    assertEquals(await t.seen(), [1]);
    await t.close();
  });
});

describe("the pipeline of a postgres:// URL", () => {
  const PID = "select pg_backend_pid() as pid";

  it("runs statements in their order on one connection, each by itself", async () => {
    await using database = await createDatabase();
    const driver = await openPostgres(database.url, { maxConnections: 4 });
    const pipeline = driver.pipeline!;
    await driver.script("create table seen (at int primary key)");
    const insert =
      "insert into seen values ($1::int) returning (select count(*)::int from seen) as n";
    const results = await Promise.allSettled(
      [1, 2, 2, 3].map((at) => pipeline<{ n: number }>(insert, [at])),
    );
    const told = results.map((result) =>
      result.status === "fulfilled" ? result.value[0].n : (result.reason as SqlError).sqlState
    );
    assertEquals(told, [0, 1, "23505", 2]); // the one that failed took nothing else with it
    const pids = await Promise.all([1, 2, 3].map(() => pipeline<{ pid: number }>(PID)));
    assertEquals(new Set(pids.map(([{ pid }]) => pid)).size, 1);
    await driver.close();
  });

  it("goes on over another connection when its own is killed", async () => {
    await using database = await createDatabase();
    const driver = await openPostgres(database.url, { maxConnections: 4 });
    const pipeline = driver.pipeline!;
    const [{ pid }] = await pipeline<{ pid: number }>(PID);
    const flow = [1, 2, 3].map(() => pipeline("select pg_sleep(10)::text"));
    const killed = await Promise.allSettled([
      ...flow,
      driver.query("select pg_terminate_backend($1::int)", [pid]),
    ]);
    for (const { status } of killed.slice(0, 3)) assertEquals(status, "rejected");
    const [{ pid: next }] = await pipeline<{ pid: number }>(PID);
    assert(next !== pid);
    await driver.close();
  });

  it("is not there with a single connection, which it would keep from all others", async () => {
    const driver = await openPostgres("postgres://localhost/none", { maxConnections: 1 });
    assertEquals(driver.pipeline, undefined);
    await driver.close();
  });
});
