import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import postgres from "postgres";
import { Engine } from "../../src/engine/engine.ts";
import { postgresStore } from "../../src/store/postgres/store.ts";
import { defineWorkflow } from "../../src/workflow/definition.ts";
import { RecordingLogger } from "../harness.ts";
import { createDatabase } from "../postgres.ts";
import { program } from "../workflow/programs.ts";
import { crashes, Trial } from "../workflow/trial.ts";

const Child = defineWorkflow({
  name: "child",
  handler: async (n: number, step) => {
    if (n % 3 === 0) await step.sleep("nap", 5);
    if (n % 5 === 0) await step.waitForEvent("go", { key: "all" });
    return await step.run("square", () => n * n);
  },
});

const Family = defineWorkflow({
  name: "family",
  handler: async (n: number, step) => {
    const [squares, told] = await Promise.all([
      step.fanOut("squares", Child, [n, n + 1, n + 2, n + 3], { concurrency: 3 }),
      step.waitForEvent("told"),
    ]);
    return squares.reduce((sum, square) => sum + square) + Number(told);
  },
});

/** Programs that are run; more than in a usual run of the tests with a variable. */
const TRIALS = Number(Deno.env.get("DISPATCH_TRIALS") ?? 80);

/** What a program leaves behind. */
const TABLES = ["jobs", "finished", "letters", "tallies", "flows", "steps", "waits", "events"];

describe("workflows on Postgres", () => {
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

  it("of many families at once, on two workers, end without waiting for each other", async () => {
    await using database = await createDatabase();
    const log = new RecordingLogger();
    const stores = [0, 1].map(() => postgresStore(database.url, { maxConnections: 5 }));
    await stores[0].migrate();
    const engines = stores.map(() =>
      new Engine({ concurrency: 40, pollInterval: "100ms", maxPollInterval: "500ms", logger: log })
    );
    for (const [i, engine] of engines.entries()) {
      engine.register(Child, Family);
      await engine.start(stores[i]);
    }
    const inputs = Array.from({ length: 60 }, (_, i) => i);
    const runs = await Promise.all(inputs.map((n) => engines[n % 2].startWorkflow(Family, n)));
    await Promise.all(
      inputs.map((n) => engines[(n + 1) % 2].triggerEvent(runs[n].id, "told", 1000)),
    );
    await engines[0].publishEvent("go", null, { key: "all" });
    const results = await Promise.all(
      runs.map(({ id }, i) => engines[i % 2].result<number>(id, { timeout: "60s" })),
    );
    const square = (n: number) => n ** 2 + (n + 1) ** 2 + (n + 2) ** 2 + (n + 3) ** 2 + 1000;
    assertEquals(results, inputs.map(square));
    const told = log.lines.filter(({ level }) => level === "warn" || level === "error");
    assertEquals(told, [], "nothing was tried again");
    const { workflows } = await engines[0].stats();
    assertEquals([workflows.completed, workflows.running], [300, 0]);
    await Promise.all(engines.map((engine) => engine.stop()));
    await Promise.all(stores.map((store) => store.close()));
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
