import { assertEquals, assertLess } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import postgres from "postgres";
import process from "node:process";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { postgresStore } from "../../src/store/postgres/store.ts";
import { defineWorkflow } from "../../src/workflow/definition.ts";
import { startRig } from "../harness.ts";
import { createDatabase } from "../postgres.ts";
import { pause, until } from "./load.ts";

const RUNS = 10_000;

/** Bytes that are in use, once nobody's are collected. */
async function heap(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  for (let i = 0; i < 3; i++) {
    await pause(10);
    collect();
  }
  return process.memoryUsage().heapUsed;
}

const Nap = defineWorkflow({
  name: "nap",
  handler: async (n: number, step) => {
    await step.sleep("nap", "10m");
    return n;
  },
});

const Wait = defineWorkflow({
  name: "wait",
  handler: async (_: number, step) => await step.waitForEvent("go", { key: "all" }),
});

describe("10,000 runs on Postgres", () => {
  for (const [how, Flow] of [["are asleep", Nap], ["wait for one event", Wait]] as const) {
    it(`that ${how} cost nothing, and are woken without a storm`, async () => {
      await using database = await createDatabase();
      let statements = 0;
      const sql = postgres(database.url, {
        max: 10,
        fetch_types: false,
        debug: () => statements++,
      });
      await postgresStore(sql).migrate();
      await using rig = await startRig({
        jobs: [Flow],
        concurrency: 500,
        retention: false,
        store: (clock) => postgresStore(sql, { clock, notify: false }),
      });
      const counts = async () => {
        const [found] = await sql`select count(*) filter (where state = 'f')::int4 as parked,
          count(*)::int4 as jobs from dispatch.jobs`;
        await rig.advance(20); // polls go by the clock that is held
        return found;
      };
      const timers = rig.clock.armed;
      const park = async (from: number, to: number) => {
        for (let i = from; i < to; i += 1000) {
          await Promise.all(
            Array.from({ length: 1000 }, (_, n) => rig.engine.startWorkflow(Flow, i + n)),
          );
        }
        await until("they are parked", async () => (await counts()).parked === to);
        await pause(100);
        return await heap();
      };
      const few = await park(0, 2000); // by then all code has run that is to
      const grown = await park(2000, RUNS) - few;

      assertLess(grown, 100 * (RUNS - 2000), "they are kept in memory");
      assertLess(rig.clock.armed, timers + 5, "they have timers");
      statements = 0;
      for (let second = 0; second < 60; second++) {
        await rig.advance("1s");
        if (second % 10 === 0) await pause(10);
      }
      await pause(100);
      assertLess(statements, 100, "they are asked for while they are parked");
      const [{ busy }] = await sql`select count(*)::int4 as busy from pg_stat_activity
        where datname = current_database() and state <> 'idle' and pid <> pg_backend_pid()
          and backend_type = 'client backend'`;
      assertEquals(busy, 0);

      statements = 0;
      if (Flow === Nap) await rig.advance("10m");
      else assertEquals((await rig.engine.publishEvent("go", 1, { key: "all" })).delivered, RUNS);
      await until("they have ended", async () => (await counts()).jobs === 0, 60_000);
      assertLess(statements, RUNS / 10, "each has statements of its own");
      assertEquals((await rig.engine.stats()).workflows.completed, RUNS);
      const told = rig.log.lines.filter(({ level }) => level === "warn" || level === "error");
      assertEquals(told, []);
      await rig.stop();
      await rig.store.close();
      await sql.end();
    });
  }
});
