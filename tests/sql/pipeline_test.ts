import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { openPostgres } from "../../src/sql/open.ts";
import { createPipeline } from "../../src/sql/pipeline.ts";
import { createPool, type Pooled } from "../../src/sql/pool.ts";
import type { SqlError } from "../../src/sql/sql_error.ts";
import { createDatabase } from "../postgres.ts";
import { kill, sleeps, until } from "./suite/helpers.ts";

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

describe("the pipeline of a postgres:// URL", () => {
  const PID = "select pg_backend_pid() as pid";

  it("runs statements in their order on one connection, each by itself", async () => {
    await using database = await createDatabase();
    const driver = await openPostgres(database.url, { maxConnections: 4 });
    const pipeline = driver.pipeline!();
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
    const pipeline = driver.pipeline!();
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

  it("has a connection of its own, unless that would be the last one for everybody else", async () => {
    await using database = await createDatabase();
    const three = await openPostgres(database.url, { maxConnections: 3 });
    const [first, second] = [three.pipeline!(), three.pipeline!()];
    const ended = assertRejects(() => first("select pg_sleep(60)::text"));
    await until(() => sleeps(database.url), "it sleeps");
    assertEquals(await second("select 1 as one"), [{ one: 1 }]); // without waiting for that
    assert(await sleeps(database.url));
    await kill(database.url);
    await ended;
    await three.close();

    const two = await openPostgres(database.url, { maxConnections: 2 });
    const pids = await Promise.all(
      [two.pipeline!(), two.pipeline!()].map((pipeline) => pipeline<{ pid: number }>(PID)),
    );
    assertEquals(pids[0], pids[1]);
    await two.close();
  });

  it("is not there with a single connection, which it would keep from all others", async () => {
    const driver = await openPostgres("postgres://localhost/none", { maxConnections: 1 });
    assertEquals(driver.pipeline, undefined);
    await driver.close();
  });

  /** A driver that listens, its pipeline for what follows hints, and the session that listens. */
  async function listening(url: string) {
    const driver = await openPostgres(url, { maxConnections: 4 });
    const after = driver.pipeline!(true);
    let times = 0;
    const stop = driver.listen!("hints", () => {}, () => times++);
    const pid = async () => (await after<{ pid: number }>(PID))[0].pid;
    const listens = (n: number) => until(() => times === n, "it listens");
    await listens(1);
    return { driver, after, stop, pid, listens };
  }

  it("goes over the connection that listens for what follows hints, and over another without it", async () => {
    await using database = await createDatabase();
    const { driver, after, stop, pid, listens } = await listening(database.url);
    const channels = "select coalesce(string_agg(c, ','), '') as c from pg_listening_channels() c";
    assertEquals(await after(channels), [{ c: "hints" }]);
    assertEquals(await driver.pipeline!()(channels), [{ c: "" }]);
    const [[one], [two]] = await Promise.all([after(PID), after(PID)]);
    assertEquals(one, two);
    await driver.query("select pg_terminate_backend($1::int)", [await pid()]);
    await listens(2);
    assertEquals(await after(channels), [{ c: "hints" }]);
    await stop();
    assertEquals(await after(channels), [{ c: "" }]);
    await driver.close();
  });

  it("has a connection listen that stands already", async () => {
    await using database = await createDatabase();
    const driver = await openPostgres(database.url);
    const [{ pid }] = await driver.query<{ pid: number }>(PID);
    const heard: string[] = [];
    let listens = false;
    driver.listen!("hints", (payload) => heard.push(payload), () => (listens = true));
    await until(() => listens, "it listens");
    assertEquals(await driver.pipeline!(true)(PID), [{ pid }]);
    await driver.query("select pg_notify('hints', 'a')::text", []); // over another one
    await until(() => heard.length > 0, "it hears");
    assertEquals(heard, ["a"]);
    await driver.close();
  });

  it("has whoever stops listening wait for what is under way there", async () => {
    await using database = await createDatabase();
    const { driver, after, stop } = await listening(database.url);
    let done = false;
    const slow = after("select pg_sleep(0.6)::text").then(() => (done = true));
    await stop();
    assert(done, "the statement was broken off");
    await slow;
    await driver.close();
  });
});

describe("inOrder() of a driver", () => {
  it("sends statements at once, which run one after the other, each for itself", async () => {
    await using database = await createDatabase();
    const driver = await openPostgres(database.url);
    await driver.script("create table entries (n int4 primary key)");
    const insert = "insert into entries values ($1::int4) returning pg_backend_pid() as pid";
    const answers = await driver.inOrder!((connection) =>
      Promise.allSettled([1, 1, 2].map((n) => connection.query<{ pid: number }>(insert, [n])))
    );
    assertEquals(answers.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
    const pids = answers.flatMap((answer) => answer.status === "fulfilled" ? answer.value : []);
    assertEquals(pids[0], pids[1]);
    assertEquals(await driver.query("select n from entries order by n"), [{ n: 1 }, { n: 2 }]);
    const begun: string[] = [];
    await driver.inOrder!((connection) => {
      const slow = connection.query("select pg_sleep(0.2)::text").then(() => begun.push("slow"));
      return Promise.all([slow, connection.query("select 1 as n").then(() => begun.push("quick"))]);
    });
    assertEquals(begun, ["slow", "quick"]);
    await driver.close();
  });
});
