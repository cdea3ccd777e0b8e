import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import pg from "pg";
import postgres from "postgres";
import { defineJob } from "../../src/engine/definition.ts";
import { postgresStore } from "../../src/store/postgres/store.ts";
import { make } from "../extension/harness.ts";
import { createDatabase, type OwnServer, startOwnServer } from "../postgres.ts";
import { startProxy } from "../sql/proxy.ts";
import { Load, pause, until } from "./load.ts";

/** Restarts the server under a load, and returns what was logged of it. */
async function restart(
  server: OwnServer,
  load: Load,
  how: "fast" | "immediate",
  outageMs: number,
): Promise<string[]> {
  await load.start(20);
  await load.works();
  const before = load.log.lines.length;
  await server.stop(how);
  await pause(outageMs);
  await until("health is red", () => load.health.at(-1) === "error");
  const { ranAt } = load;
  await server.start();
  await until("jobs are run again", () => load.ranAt > ranAt);
  await until("health is green", () => load.health.at(-1) === "ok");
  assertEquals(load.health, ["ok", "error", "ok"]);
  await load.works();
  await load.verify();
  assert(load.errors.length > 0, "nobody noticed");
  for (const { code, transient } of load.errors) {
    assertEquals([code, transient], ["store_unreachable", true]);
  }
  const lines = load.log.lines.slice(before).map(({ message }) => message);
  const late = "an outcome came too late: the lease was lost"; // one for each answer that was lost
  const told = lines.filter((line) => line !== late);
  assert(told.length <= 20, told.join("\n"));
  return lines;
}

describe("a restart of PostgreSQL under load", () => {
  for (const [how, outageMs] of [["fast", 500], ["immediate", 5000]] as const) {
    it(`of ${outageMs} ms (${how}) loses and doubles nothing, and is told once`, async () => {
      await using server = await startOwnServer();
      await using database = await createDatabase(server);
      await using proxy = startProxy(database.url);
      await using load = new Load(proxy.url);
      const lines = await restart(server, load, how, outageMs);
      assertEquals(lines.filter((line) => line === "database connection lost").length, 1);
      // Before and after it ten in the pool and one that listens; the rest are tries in between.
      assert(proxy.attempts <= 2 * 11 + 20, `${proxy.attempts} connections were attempted`);
    });
  }

  it("loses and doubles nothing with a pool of the user's own either", async () => {
    await using server = await startOwnServer();
    await using database = await createDatabase(server);
    const pool = new pg.Pool({ connectionString: database.url, max: 10 });
    const store = postgresStore(pool);
    {
      await using load = new Load(null, { store });
      await restart(server, load, "fast", 1000);
    }
    await store.close();
    await pool.end();
  });
});

/** Has a server write to its disk for those alone that wait for it. */
async function stopWalWriter(url: string): Promise<void> {
  const sql = postgres(url, { max: 1, fetch_types: false });
  const [writer] = await sql`select pid from pg_stat_activity where backend_type = 'walwriter'`;
  await sql.end();
  Deno.kill(writer.pid, "SIGSTOP");
}

describe("a server that falls right after an enqueue has resolved", () => {
  it("has the job on its disk, whether others were told of it or not", async () => {
    await using server = await startOwnServer();
    await using database = await createDatabase(server);
    const store = postgresStore(database.url);
    const Job = defineJob({ name: "job", handler: () => Promise.resolve() });
    await using ext = make({ store, jobs: [Job], disableRoutes: true, concurrency: 0 });
    await ext.start();
    for (let round = 0; round < 2; round++) {
      await ext.engine.enqueue(Job, null);
      await stopWalWriter(database.url);
      await pause(20); // a hint is due with the next one, and with none that follows it at once
      const ids: string[] = [];
      for (let n = 0; n <= round; n++) ids.push((await ext.engine.enqueue(Job, null)).id);
      await server.stop("immediate");
      await server.start();
      await until("it answers", async () => (await store.jobs.counts(), true));
      const states = (await store.jobs.get(ids)).map((job) => job?.state);
      assertEquals(states, ids.map(() => "pending"));
    }
    await ext.stop();
    await store.close();
  });
});

describe("a server that falls before it has written a claim to its disk", () => {
  it("gives the job out once more, whose first handler is told", async () => {
    await using server = await startOwnServer();
    await using database = await createDatabase(server);
    let calls = 0;
    let reason: string | null = null;
    let end = (): void => {};
    const Job = defineJob({
      name: "job",
      handler: async (_: null, { signal }) => {
        if (++calls > 1) return;
        await new Promise<void>((resolve) => {
          end = resolve;
          signal.addEventListener("abort", () => resolve());
        });
        if (signal.aborted) reason = signal.reason.code;
      },
    });
    const store = postgresStore(database.url);
    const find = async (id: string) => (await store.jobs.get([id]))[0];
    await using ext = make({ store, jobs: [Job], disableRoutes: true, retention: false });
    await ext.start();
    for (let tries = 1;; tries++) {
      calls = 0;
      await stopWalWriter(database.url);
      const { id } = await ext.engine.enqueue(Job, null);
      await until("the job runs", () => calls === 1);
      const claimed = await find(id);
      assertEquals(claimed?.state, "running"); // everyone sees it
      await server.stop("immediate");
      await server.start();
      // Whatever waits for the disk meanwhile takes the claim along.
      let kept = false;
      await until("it answers", async () => {
        kept = (await find(id))?.startedAt === claimed?.startedAt;
        return true;
      });
      if (kept) end();
      await until("it is done", async () => (await find(id))?.state === "completed", 60_000);
      if (kept && tries < 5) continue;
      const job = await find(id);
      assertEquals([calls, reason, job?.attempt, job?.crashes], [2, "lease_lost", 1, 0]);
      break;
    }
    await ext.stop();
    await store.close();
  });
});
