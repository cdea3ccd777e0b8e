import { assert, assertEquals, assertLess, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import postgres from "postgres";
import { defineJob } from "../../src/engine/definition.ts";
import { createRegistry } from "../../src/extension/registry.ts";
import { SqlError } from "../../src/sql/sql_error.ts";
import { postgresStore } from "../../src/store/postgres/store.ts";
import { make } from "../extension/harness.ts";
import { errorOf } from "../harness.ts";
import { createDatabase } from "../postgres.ts";
import { connections, kill } from "../sql/suite/helpers.ts";
import { Load, pause, until } from "./load.ts";

/** The pool of a URL, and the connection that listens. */
const MAX_CONNECTIONS = 10 + 1;

const Noop = defineJob({ name: "noop", handler: () => {} });

describe("the connections of an extension", () => {
  it("are killed under load again and again, and nothing is lost or doubled", async () => {
    await using database = await createDatabase();
    await using load = new Load(database.url);
    await load.start(10);
    for (let round = 0; round < 5; round++) {
      await load.works(20);
      assert(await kill(database.url) > 0);
    }
    await load.works();
    await load.verify();
    const told = load.log.lines.map(({ message }) => message);
    assert(told.length <= 40, told.join("\n"));
    assertEquals(
      load.log.count("database connection lost"),
      1,
      "one flapping server is one outage",
    );
  });

  it("are at most those that were configured, whoever calls, and gone when it has stopped", async () => {
    await using database = await createDatabase();
    const load = new Load(database.url, { concurrency: 200 });
    await load.start(200);
    let most = 0;
    const sql = postgres(database.url, { max: 1, fetch_types: false });
    for (let look = 0; look < 50; look++) {
      const [{ n }] = await sql`select count(*)::int4 as n from pg_stat_activity
        where datname = ${database.name} and pid <> pg_backend_pid()
          and backend_type = 'client backend'`;
      most = Math.max(most, n);
      await pause(10);
    }
    await sql.end();
    assert(most > 1 && most <= MAX_CONNECTIONS, `${most} connections`);
    await load.verify();
    await load[Symbol.asyncDispose]();
    await until("no connection is left", async () => await connections(database.url) === 0);
  });

  it("are none after 50 starts and stops", async () => {
    await using database = await createDatabase();
    for (let round = 0; round < 50; round++) {
      const registry = createRegistry({ databases: { only: database.url } });
      const ext = make({ registry, groveDatabase: "", jobs: [Noop], disableRoutes: true });
      await ext.start();
      const { id } = await ext.engine.enqueue(Noop, undefined);
      if (round % 5 === 0) await ext.engine.result(id, { timeout: "20s" });
      await ext.stop();
    }
    await until("no connection is left", async () => await connections(database.url) === 0);
  });
});

describe("a listener that was killed", () => {
  /** A worker that would otherwise look for jobs once in ten minutes. */
  async function asleep(url: string) {
    const ran: number[] = [];
    const Note = defineJob({ name: "note", handler: (n: number) => void ran.push(n) });
    const ext = make({
      registry: createRegistry({ databases: { only: url } }),
      groveDatabase: "",
      jobs: [Note],
      disableRoutes: true,
      pollInterval: "10m",
      maxPollInterval: "10m",
    });
    await ext.start();
    return { ext, ran };
  }

  it("is replaced: what comes meanwhile is found, and later jobs wake the worker at once", async () => {
    await using database = await createDatabase();
    const { ext, ran } = await asleep(database.url);
    const loud = postgresStore(database.url);
    const mute = postgresStore(database.url, { notify: false });
    const peer = make({ store: loud, jobs: [], concurrency: 0, disableRoutes: true });
    const quiet = make({ store: mute, jobs: [], concurrency: 0, disableRoutes: true });
    await Promise.all([peer.start(), quiet.start()]);
    for (let round = 0; round < 3; round++) {
      await peer.engine.enqueue("note", 2 * round);
      await until("a job wakes the worker", () => ran.includes(2 * round));
      await pause(100); // it may have been told twice, and the job begins before its claim is kept
      await quiet.engine.enqueue("note", 2 * round + 1);
      await pause(100);
      assert(!ran.includes(2 * round + 1), "nobody has told the worker");
      await kill(database.url);
      await until("the gap is polled", () => ran.includes(2 * round + 1));
    }
    await Promise.all([peer.stop(), quiet.stop(), ext.stop()]);
    await Promise.all([loud.close(), mute.close()]);
  });
});

describe("a table that somebody has locked", () => {
  it("ends statements in bounded time with an error that says so, and the engine then goes on", async () => {
    await using database = await createDatabase();
    const store = postgresStore(database.url, { statementTimeoutMs: 500 });
    await using load = new Load(null, { store });
    await load.start(5);
    await load.works();
    const sql = postgres(database.url, { max: 1, onnotice() {} });
    const probe = make({ store, concurrency: 0, disableRoutes: true });
    await probe.start();
    await sql.begin(async (tx) => {
      await tx`lock table dispatch.jobs in access exclusive mode`;
      const began = Date.now();
      const error = await errorOf(() => probe.engine.enqueue("work", -1));
      assertLess(Date.now() - began, 10_000);
      assert(error instanceof SqlError);
      assertEquals([error.transient, error.code], [true, "internal"]);
      assertMatch(error.message, /statement timeout|no answer within|given up/);
      await pause(2000);
    });
    await load.works();
    await load.verify();
    await probe.stop();
    await sql.end();
    await load.ext.stop();
    await store.close();
  });
});
