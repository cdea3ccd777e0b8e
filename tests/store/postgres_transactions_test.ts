import { PGlite, type Transaction } from "@electric-sql/pglite";
import { assertEquals } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import pg from "pg";
import postgres from "postgres";
import type { Job } from "../../src/core/job.ts";
import { silentLogger } from "../../src/core/logger.ts";
import { type AnyJobDefinition, defineJob } from "../../src/engine/definition.ts";
import { Engine } from "../../src/engine/engine.ts";
import { postgresStore } from "../../src/store/postgres/store.ts";
import type { Store } from "../../src/store/store.ts";
import { codeOf, gate } from "../harness.ts";
import { createDatabase, type TestDatabase } from "../postgres.ts";

const Noop = defineJob({ name: "noop", handler: (input: unknown) => input });
/** Nothing here waits for a poll: a worker that is not woken never runs its job. */
const PATIENT = { pollInterval: "1h", maxPollInterval: "1h" };

let database: TestDatabase;
let sql: postgres.Sql;
let schemas = 0;
beforeAll(async () => {
  database = await createDatabase();
  sql = postgres(database.url, { max: 8, onnotice() {} });
  await sql`create table effects (job text not null)`;
});
afterAll(async () => {
  await sql.end();
  await database[Symbol.asyncDispose]();
});

/** Engines on one schema, stopped with their stores at the end of the block. */
class Site implements AsyncDisposable {
  readonly schema = `tx_${++schemas}`;
  readonly #open: [Engine, Store][] = [];

  async add(options: Record<string, unknown>, ...jobs: AnyJobDefinition[]): Promise<Engine> {
    const store = postgresStore(database.url, { schema: this.schema, maxConnections: 4 });
    await store.migrate();
    const engine = new Engine({ logger: silentLogger, ...PATIENT, ...options });
    engine.register(...jobs);
    await engine.start(store);
    this.#open.push([engine, store]);
    return engine;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [engine, store] of this.#open) {
      await engine.stop();
      await store.close();
    }
  }
}

/** Asks for a job until it is completed, by whichever engine. */
async function completed(engine: Engine, id: string): Promise<Job> {
  for (;;) {
    const job = await engine.jobs.get(id);
    if (job?.state === "completed") return job;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const effects = async (id: string) =>
  Number((await sql`select count(*) from effects where job = ${id}`)[0].count);

describe("a job enqueued in the caller's own transaction", () => {
  it("of postgres.js is there when it commits, and then wakes other processes", async () => {
    await using site = new Site();
    const producer = await site.add({ concurrency: 0 });
    await site.add({}, Noop);
    const job = await sql.begin(async (tx) => {
      const job = await producer.enqueue(Noop, { n: 1 }, { tx });
      assertEquals(await producer.jobs.get(job.id), null, "nobody sees it before the commit");
      return job;
    });
    await completed(producer, job.id);
  });

  it("of postgres.js is not there when it rolls back", async () => {
    await using site = new Site();
    const producer = await site.add({ concurrency: 0 });
    const ids: string[] = [];
    await sql.begin(async (tx) => {
      ids.push((await producer.enqueue(Noop, 1, { tx })).id);
      const many = await producer.enqueueMany([{ job: Noop }, { job: Noop }], { tx });
      ids.push(...many.map(({ id }) => id));
      throw new Error("no");
    }).catch(() => {});
    assertEquals(ids.length, 3);
    assertEquals((await producer.jobs.counts()).pending, 0);
    for (const id of ids) assertEquals(await producer.jobs.get(id), null);
  });

  it("of node-postgres is there exactly when it commits", async () => {
    await using site = new Site();
    const producer = await site.add({ concurrency: 0 });
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    for (const end of ["rollback", "commit"]) {
      await client.query("begin");
      await producer.enqueueMany([{ job: "noop", input: { end } }], { tx: client });
      await client.query(end);
    }
    await client.end();
    assertEquals((await producer.jobs.list()).map(({ payload }) => payload), [{ end: "commit" }]);
  });

  it("keeps the promise of a unique key", async () => {
    await using site = new Site();
    const producer = await site.add({ concurrency: 0 });
    const first = await producer.enqueue("noop", 1, { uniqueKey: "k" });
    const second = await sql.begin((tx) => producer.enqueue("noop", 2, { uniqueKey: "k", tx }));
    assertEquals(second.id, first.id);
  });

  it("of PGlite is there exactly when it commits", async () => {
    const pglite = new PGlite();
    const store = postgresStore(pglite);
    await store.migrate();
    const engine = new Engine({ logger: silentLogger, concurrency: 0 });
    await engine.start(store);
    await pglite.transaction(async (tx: Transaction) => {
      await engine.enqueue("noop", 1, { tx });
      await tx.rollback();
    });
    await pglite.transaction((tx: Transaction) => engine.enqueue("noop", 2, { tx }));
    assertEquals((await engine.jobs.list()).map(({ payload }) => payload), [2]);
    await engine.stop();
    await store.close();
    await pglite.close();
  });

  it("is refused for what is no open transaction, and for one beside the items", async () => {
    await using site = new Site();
    const producer = await site.add({ concurrency: 0 });
    assertEquals(await codeOf(() => producer.enqueue("noop", 1, { tx: {} })), "unsupported_client");
    const inside = [{ job: "noop", options: { tx: sql } }];
    assertEquals(await codeOf(() => producer.enqueueMany(inside)), "invalid_option");
    assertEquals((await producer.jobs.counts()).pending, 0);
  });
});

describe("job.transaction()", () => {
  it("completes the job with the caller's writes, and its result is that of the callback", async () => {
    const Charge = defineJob({
      name: "charge",
      handler: async (_: unknown, job) => {
        await job.transaction(async (tx: postgres.TransactionSql) => {
          await tx`insert into effects values (${job.id})`;
          return { charged: true };
        });
        throw new Error("what happens after it does not matter");
      },
    });
    await using site = new Site();
    const completed: unknown[] = [];
    const extensions = [{
      name: "spy",
      onJobCompleted: ({ result }: { result: unknown }) => completed.push(result),
    }];
    const engine = await site.add({ extensions }, Charge);
    const { id } = await engine.enqueue(Charge, null);
    assertEquals(await engine.result(id, { timeout: "20s" }), { charged: true });
    assertEquals([await effects(id), completed], [1, [{ charged: true }]]);
    assertEquals((await engine.jobs.get(id))?.attempt, 1);
  });

  it("rolls both back when the callback throws, and the job is retried", async () => {
    const Charge = defineJob({
      name: "charge",
      backoff: () => 0,
      handler: (_: unknown, job) =>
        job.transaction(async (tx: postgres.TransactionSql) => {
          await tx`insert into effects values (${job.id})`;
          if (job.attempt < 3) throw new Error("not yet");
          return job.attempt;
        }),
    });
    await using site = new Site();
    const engine = await site.add({ pollInterval: "20ms", maxPollInterval: "20ms" }, Charge);
    const { id } = await engine.enqueue(Charge, null);
    assertEquals(await engine.result(id, { timeout: "20s" }), 3);
    assertEquals(await effects(id), 1);
  });

  it("rolls back when the lease was lost meanwhile: the effect happens once", async () => {
    const started = gate<void>();
    const go = gate<void>();
    const codes: string[] = [];
    const Charge = defineJob({
      name: "charge",
      handler: async (_: unknown, job) => {
        try {
          return await job.transaction(async (tx: postgres.TransactionSql) => {
            await tx`insert into effects values (${job.id})`;
            if (job.attempt === 1) {
              started.open();
              await go.promise;
            }
            return job.attempt;
          });
        } catch (error) {
          codes.push((error as { code: string }).code);
          throw error;
        }
      },
    });
    await using site = new Site();
    const slow = await site.add({}, Charge);
    const { id } = await slow.enqueue(Charge, null);
    await started.promise;
    // As if the first worker had gone silent for longer than its lease.
    await sql.unsafe(`update ${site.schema}.jobs set lease_until = 0`);
    const other = await site.add({}, Charge); // its start takes expired leases back
    assertEquals((await completed(other, id)).result, 2);
    go.open();
    while (codes.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    assertEquals([codes, await effects(id)], [["lease_lost"], 1]);
    assertEquals((await other.jobs.get(id))?.state, "completed");
  });

  it("is refused a second time", async () => {
    const codes: string[] = [];
    const Twice = defineJob({
      name: "twice",
      handler: async (_: unknown, job) => {
        await job.transaction(() => Promise.resolve("first"));
        codes.push(await codeOf(() => job.transaction(() => Promise.resolve("second"))));
      },
    });
    await using site = new Site();
    const engine = await site.add({}, Twice);
    const { id } = await engine.enqueue(Twice, null);
    assertEquals(await engine.result(id, { timeout: "20s" }), "first");
    assertEquals(codes, ["wrong_state"]);
  });
});
