import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import postgres from "postgres";
import { Engine } from "../../src/engine/engine.ts";
import { postgresStore } from "../../src/store/postgres/store.ts";
import { defineWorkflow } from "../../src/workflow/definition.ts";
import { RecordingLogger } from "../harness.ts";
import { createDatabase, startOwnServer } from "../postgres.ts";
import { Child, runFamilies } from "../workflow/families.ts";
import { program } from "../workflow/programs.ts";
import { crashes, Trial } from "../workflow/trial.ts";

const Stairs = defineWorkflow({
  name: "stairs",
  handler: async (steps: number, step) => {
    for (let i = 0; i < steps; i++) await step.run("climb", () => i);
  },
});

/** Programs that are run; more than in a usual run of the tests with a variable. */
const TRIALS = Number(Deno.env.get("DISPATCH_TRIALS") ?? 80);

/** What a program leaves behind. */
const TABLES = ["jobs", "finished", "letters", "tallies", "flows", "steps", "waits", "events"];

describe("workflows on Postgres", () => {
  it("commit once for each step of a lone run, and thrice for the run itself", async () => {
    await using server = await startOwnServer(["-c", "autovacuum=off"]); // who writes takes a number
    const sql = postgres(server.url, { max: 1, fetch_types: false });
    const store = postgresStore(server.url, { notify: false });
    await store.migrate();
    const engine = new Engine({ concurrency: 1, logger: new RecordingLogger() });
    engine.register(Stairs);
    await engine.start(store);
    const next = async () => {
      const [{ at }] = await sql`select pg_snapshot_xmax(pg_current_snapshot())::text as at`;
      return Number(at);
    };
    for (const steps of [5, 5, 25]) {
      const before = await next();
      const { id } = await engine.startWorkflow(Stairs, steps);
      await engine.result(id);
      assertEquals(await next() - before, steps + 3); // its start, its claim, its end
    }
    await engine.stop();
    await store.close();
    await sql.end();
  });

  it("start with the caller's transaction, or not at all", async () => {
    await using database = await createDatabase();
    const sql = postgres(database.url, { max: 1, fetch_types: false });
    const store = postgresStore(sql);
    await store.migrate();
    const engine = new Engine({ concurrency: 0, logger: new RecordingLogger() });
    engine.register(Child);
    await engine.start(store);
    const ids: string[] = [];
    const start = async (tx: postgres.TransactionSql) => {
      ids.push((await engine.startWorkflow(Child, 1, { tx })).id);
    };
    await sql.begin(async (tx) => await start(tx));
    await sql.begin(async (tx) => {
      await start(tx);
      throw new Error("no");
    }).catch(() => {});
    assertEquals((await engine.runs.get(ids[0]))?.state, "running");
    assertEquals(await engine.runs.get(ids[1]), null);
    await engine.stop();
    await store.close();
    await sql.end();
  });

  it("are started once by two that look for their id before either starts one", async () => {
    await using database = await createDatabase();
    const executing = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const calls: unknown[] = [];
    const Held = defineWorkflow({
      name: "held",
      handler: async (input: string) => {
        calls.push(input);
        executing.resolve();
        await go.promise;
      },
    });
    const open = async (concurrency: number) => {
      const store = postgresStore(database.url);
      await store.migrate();
      const engine = new Engine({ concurrency, logger: new RecordingLogger() });
      engine.register(Held);
      await engine.start(store);
      return { store, engine };
    };
    const [first, second] = [await open(2), await open(0)];
    const runs = second.store.runs!;
    const get = runs.get.bind(runs);
    runs.get = async (ids) => {
      const before = await get(ids);
      await executing.promise; // by then the other one has started it, and a worker has taken it
      return before;
    };
    const id = "run_01jd0gxm6te4fs5b9v3q8n2kzr";
    const late = second.engine.startWorkflow(Held, "late", { id });
    await first.engine.startWorkflow(Held, "first", { id });
    assertEquals((await late).id, id);
    const { pending, running } = await first.store.jobs.counts();
    assertEquals([pending, running], [0, 1]);
    go.resolve();
    await first.engine.result(id);
    assertEquals(calls, ["first"]);
    for (const { engine, store } of [first, second]) {
      await engine.stop();
      await store.close();
    }
  });

  it("of many families at once, on two workers, end without waiting for each other", async () => {
    await using database = await createDatabase();
    const open = () => postgresStore(database.url, { maxConnections: 5 });
    await runFamilies([open(), open()], 60);
  });

  it("end as if nobody had died, whatever they are, on workers that die at random", async () => {
    await using database = await createDatabase();
    const trials = fc.sample(fc.tuple(program, crashes), { numRuns: TRIALS, seed: 20260202 });
    let next = 0;
    const lane = async (_: unknown, lane: number) => {
      const schema = `lane_${lane}`;
      const sql = postgres(database.url, { max: 4, fetch_types: false, onnotice: () => {} });
      await postgresStore(sql, { schema }).migrate();
      while (next < trials.length) {
        const [program, crashes] = trials[next++];
        try {
          await using trial = new Trial(program, crashes, (clock) => {
            return postgresStore(sql, { schema, clock, notify: false });
          });
          await trial.run();
        } catch (error) {
          next = trials.length;
          const what = JSON.stringify({ program, crashes });
          throw new Error(`not as if nobody had died: ${what}`, { cause: error });
        }
        await sql.unsafe(TABLES.map((table) => `delete from ${schema}.${table};`).join("\n"));
      }
      await sql.end();
    };
    await Promise.all(Array.from({ length: 4 }, lane));
    assertEquals(next, TRIALS);
  });
});
