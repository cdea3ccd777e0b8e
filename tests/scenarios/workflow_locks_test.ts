import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import postgres from "postgres";
import type { DispatchError } from "../../src/core/errors.ts";
import { Engine } from "../../src/engine/engine.ts";
import { toUuid } from "../../src/store/postgres/uuid.ts";
import { postgresStore } from "../../src/store/postgres/store.ts";
import { defineWorkflow } from "../../src/workflow/definition.ts";
import { RecordingLogger } from "../harness.ts";
import { createDatabase } from "../postgres.ts";
import { pause, until } from "./load.ts";

const FAMILIES = 80;

/** Ends at once, or with an event that its whole family, and others, wait for. */
const Child = defineWorkflow({
  name: "child",
  handler: async ({ family, n }: { family: number; n: number }, step) => {
    if (n % 3 === 0) await step.waitForEvent("go", { key: String(family % 4) });
    if (n % 3 === 1) await step.waitForEvent("own");
    return await step.run("work", () => n, { compensate: () => {} });
  },
});

const Family = defineWorkflow({
  name: "family",
  handler: async (family: number, step) => {
    await step.run("begin", () => {}, { compensate: () => {} });
    const [children] = await Promise.all([
      step.fanOut("children", Child, [0, 1, 2, 3, 4, 5].map((n) => ({ family, n }))),
      step.waitForEvent("go", { key: String(family % 4) }),
      step.sleep("nap", 20),
    ]);
    return children;
  },
});

const random = (n: number) => Math.floor(Math.random() * n);

describe("runs that lock each other's rows on Postgres", () => {
  it("never end in a deadlock that anybody hears of, and none of them is lost", async () => {
    await using database = await createDatabase();
    const log = new RecordingLogger();
    const stores = [0, 1, 2].map(() => postgresStore(database.url, { maxConnections: 6 }));
    await stores[0].migrate();
    const engines = stores.map(() =>
      new Engine({ concurrency: 40, pollInterval: "50ms", maxPollInterval: "200ms", logger: log })
    );
    for (const [i, engine] of engines.entries()) {
      engine.register(Child, Family);
      await engine.start(stores[i]);
    }
    const any = () => engines[random(engines.length)];
    const roots = (await Promise.all(
      Array.from({ length: FAMILIES }, (_, n) => any().startWorkflow(Family, n)),
    )).map(({ id }) => id);

    const refusals: string[] = [];
    /** What comes too late is refused; nothing else may go wrong. */
    const dare = async (call: Promise<unknown>) => {
      await call.catch((error: DispatchError) => {
        if (error.code !== "wrong_state") refusals.push(`${error.code}: ${error.message}`);
      });
    };
    const children = async () =>
      (await any().runs.list({ name: "child", state: "running", limit: 1000 })).map(({ id }) => id);
    let over = false;
    const cancelled = new Set<string>();
    const troublemakers = [
      async () => {
        await Promise.all(
          [0, 1, 2, 3].map((key) => dare(any().publishEvent("go", null, { key: String(key) }))),
        );
      },
      async () =>
        void await Promise.all((await children()).map((id) => dare(any().triggerEvent(id, "own")))),
      async () => {
        const some = (await children()).filter(() => random(12) === 0);
        await Promise.all(
          some.map((id) => dare(any().runs.cancel(id, { compensate: random(2) === 0 }))),
        );
      },
      async () => {
        const root = roots[random(roots.length)];
        if (cancelled.size > FAMILIES / 3) return;
        cancelled.add(root);
        await dare(any().runs.cancel(root, { compensate: random(2) === 0 }));
      },
    ];
    await pause(300);
    const making = troublemakers.map(async (trouble) => {
      while (!over) {
        await trouble();
        await pause(random(5));
      }
    });
    await until("all have ended", async () => {
      const { running, compensating } = (await any().stats()).workflows;
      return running + compensating === 0;
    }, 60_000);
    over = true;
    await Promise.all(making);
    assertEquals(refusals, []);
    const told = log.lines.filter(({ level, message }) =>
      level === "warn" || level === "error" && !message.includes("dead letters")
    );
    assertEquals(told, []);
    let [completed, failed] = [0, 0];
    for (const id of roots) {
      const run = (await any().runs.get(id))!;
      if (run.state === "completed") {
        completed++;
        assertEquals(run.output, [0, 1, 2, 3, 4, 5]);
      } else if (run.state === "failed") {
        failed++;
        assert(run.error?.startsWith("Step "), run.error!); // one of its children was cancelled
      } else assert(cancelled.has(id), `${id} is ${run.state}`);
    }
    assert(completed > 0 && failed > 0, `${completed} completed, ${failed} failed`);
    await Promise.all(engines.map((engine) => engine.stop()));
    await Promise.all(stores.map((store) => store.close()));
    const sql = postgres(database.url, { max: 1, fetch_types: false });
    await pause(1100); // statistics are written once a second
    const [{ deadlocks }] = await sql`select deadlocks::int4 from pg_stat_database
      where datname = current_database()`;
    await sql.end();
    assertEquals(deadlocks, 0);
  });

  it("are changed all the same when somebody else locks them in another order", async () => {
    await using database = await createDatabase();
    const store = postgresStore(database.url);
    await store.migrate();
    const engine = new Engine({ concurrency: 5, logger: new RecordingLogger() });
    engine.register(Child, Family);
    await engine.start(store);
    const { id } = await engine.startWorkflow(Family, 0);
    const waiting = async () =>
      (await engine.runs.list({ name: "child", limit: 100 }))
        .filter((run) => run.waitingFor.length > 0);
    await until("two children wait", async () => (await waiting()).length >= 2);
    const [first, last] = [id, (await waiting())[0].id].map((run) => run.replace("run_", "job_"));
    const sql = postgres(database.url, { max: 1, fetch_types: false });
    let cancelled: Promise<unknown> | undefined;
    await sql.begin(async (tx) => {
      await tx`set local deadlock_timeout = '60s'`; // it is never the one to give way
      await tx`select 1 from dispatch.jobs where id = ${toUuid(last)} for update`;
      cancelled = engine.runs.cancel(id);
      await pause(200);
      await tx`select 1 from dispatch.jobs where id = ${toUuid(first)} for update`;
    });
    await cancelled;
    assertEquals((await engine.runs.get(id))?.state, "cancelled");
    await engine.stop();
    await store.close();
    await sql.end();
  });
});
