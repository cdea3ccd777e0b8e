/** What happens between connections: waiting locks, rollbacks, connections that are killed. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { createExtension, defineJob, silentLogger } from "../../mod.ts";
import { openPostgres } from "../../src/sql/open.ts";
import { postgresStore, type PostgresStoreOptions } from "../../src/store/postgres/store.ts";
import { newJob } from "../../src/testing/suite/context.ts";
import { createDatabase } from "../postgres.ts";

const claim = {
  workerId: "w",
  queues: ["default"],
  names: ["mail"],
  limit: 1000,
  leaseMs: 60_000,
  suspects: false,
};

async function open(options: PostgresStoreOptions = {}) {
  const database = await createDatabase();
  const store = postgresStore(database.url, options);
  const driver = await openPostgres(database.url);
  await store.migrate();
  return {
    database,
    store,
    driver,
    async [Symbol.asyncDispose]() {
      await store.close();
      await driver.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!await holds()) {
    assert(Date.now() < deadline, `never: ${what}`);
    await pause(10);
  }
}

describe("postgresStore() between connections", () => {
  it("heartbeats and settlements of the same jobs never wait for each other in a circle", async () => {
    await using t = await open();
    for (let round = 0; round < 10; round++) {
      await t.store.jobs.enqueue(Array.from({ length: 300 }, () => newJob()));
      const leases = (await t.store.jobs.claim(claim)).map(({ lease }) => lease);
      assertEquals(leases.length, 300);
      const reversed = [...leases].reverse();
      const failure = { code: "handler_failed", message: "no" } as const;
      const [statuses] = await Promise.all([
        t.store.jobs.settle(reversed.map((lease, i) => ({
          lease,
          outcome: i % 3 === 0
            ? { kind: "retry", failure, delayMs: 600_000 }
            : { kind: "complete", result: "null" },
        }))),
        t.store.jobs.extend(leases.map((lease) => ({ lease })), 60_000),
        t.store.jobs.extend(reversed.map((lease) => ({ lease })), 60_000),
      ]);
      assertEquals(new Set(statuses), new Set(["settled"]));
    }
    const { completed, retrying, running } = await t.store.jobs.counts();
    assertEquals([completed, retrying, running], [2000, 1000, 0]);
  });

  it("an id that is sent again while its job is being claimed adds nothing", async () => {
    await using t = await open();
    const job = newJob({ payload: '"first"' });
    await t.store.jobs.enqueue([job]);
    const others = [newJob(), newJob()];
    const late = await t.driver.transaction(async (tx) => {
      await tx.query(
        `select * from dispatch.claim(null, 'w', '{default}', '{mail}', 9, 60000, false, 2)`,
      );
      const sent = t.store.jobs.enqueue([others[0], { ...job, payload: '"late"' }, others[1]]);
      await until("it waits for the claim", async () => {
        const waiting = `select 1 as one from pg_stat_activity
          where datname = current_database() and wait_event = 'transactionid'`;
        return (await t.driver.query(waiting)).length > 0;
      });
      return { sent };
    });
    const records = await late.sent;
    assertEquals(records.map(({ id }) => id), [others[0].id, job.id, others[1].id]);
    assertEquals([records[1].state, records[1].payload], ["running", '"first"']);
    const { pending, running } = await t.store.jobs.counts();
    assertEquals([pending, running], [2, 1]);
    const { items } = await t.store.jobs.list({ limit: 10, offset: 0 });
    assertEquals(items.length, 3);
  });

  it("jobs whose claim was under way when their queue got a limit count from the next count on", async () => {
    await using t = await open();
    await t.store.jobs.enqueue(Array.from({ length: 6 }, () => newJob()));
    await t.store.queues.configure("other", { concurrency: 1 });
    await t.driver.transaction(async (tx) => {
      const taken = await tx.query(
        `select * from dispatch.claim(null, 'w', '{default}', '{mail}', 2, 60000, false, 2)`,
      );
      assertEquals(taken.length, 1);
      await t.store.queues.configure("default", { concurrency: 3 });
    });
    assertEquals(
      await t.store.jobs.prune({ completed: null, failed: null, cancelled: null }, 1),
      0,
    );
    assertEquals((await t.store.jobs.claim(claim)).length, 1);
    assertEquals((await t.store.jobs.claim(claim)).length, 0);
  });

  it("a unique key waits for a rival that is not committed, and is free when that rolls back", async () => {
    await using t = await open();
    const key = { uniqueKey: "invoice-7" };
    const rivalry = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const rival = t.driver.transaction(async (tx) => {
      await tx.query(`insert into dispatch.jobs (id, run_at, timeout_ms, created_at, updated_at,
        priority, max_retries, state, queue, name, payload, unique_key)
        values (gen_random_uuid(), 0, 0, 0, 0, 0, 0, 'w', 'default', 'mail', '{}', 'invoice-7')`);
      begun.resolve();
      await rivalry.promise;
      throw new Error("rolled back");
    }).catch(() => {});
    await begun.promise;
    const job = newJob(key);
    let made = false;
    const enqueued = t.store.jobs.enqueue([job]).then((jobs) => (made = true, jobs));
    await pause(100);
    assertEquals(made, false, "nobody knows yet who holds the key");
    rivalry.resolve();
    await rival;
    assertEquals((await enqueued)[0].id, job.id);
    assertEquals((await t.store.jobs.enqueue([newJob(key)]))[0].id, job.id);
  });

  it("counts stay right while everything happens at once, also when they are folded", async () => {
    await using t = await open();
    await Promise.all(Array.from({ length: 8 }, async () => {
      for (let i = 0; i < 15; i++) {
        await t.store.jobs.enqueue([newJob(), newJob({ delayMs: 60_000 })]);
        const claimed = await t.store.jobs.claim({ ...claim, limit: 2 });
        await t.store.jobs.settle(
          claimed.slice(1).map(({ lease }) => ({
            lease,
            outcome: { kind: "complete", result: "null" },
          })),
        );
        if (i % 5 === 0) await t.store.jobs.prune({ completed: null, failed: 0, cancelled: 0 }, 10);
      }
    }));
    const counts = await t.store.jobs.counts();
    const [truth] = await t.driver.query(`select
      (select count(*) from dispatch.jobs where state <> 'r')::int4 as pending,
      (select count(*) from dispatch.jobs where state = 'r')::int4 as running,
      (select count(*) from dispatch.finished)::int4 as completed`);
    const { pending, running, completed } = counts;
    assertEquals<unknown>({ pending, running, completed }, truth);
  });

  it("a job of another process wakes a listener, also after its connection was killed", async () => {
    await using t = await open();
    const peer = postgresStore(t.database.url);
    const woken: string[] = [];
    await t.store.jobs.claim({ ...claim, queues: ["mails"] });
    const stop = await t.store.onWake!((queue) => woken.push(queue));
    await until("the first subscription", () => woken.includes("mails"));
    woken.length = 0;
    await peer.jobs.enqueue([newJob({ queue: "mails" })]);
    await until("a wake by NOTIFY", () => woken.includes("mails"));
    woken.length = 0;
    await t.driver.query(`select pg_terminate_backend(pid)::text from pg_stat_activity
      where query ilike 'listen%' and datname = current_database()`);
    await until("a wake for what was missed", () => woken.includes("mails"));
    await stop();
    await peer.close();
  });

  it("connections that are killed lose no job and settle none twice", async () => {
    await using t = await open();
    const runs = new Map<number, number>();
    const Work = defineJob({
      name: "work",
      handler: async ({ n }: { n: number }) => {
        runs.set(n, (runs.get(n) ?? 0) + 1);
        await pause(2);
      },
    });
    const ext = createExtension({
      store: t.store,
      jobs: [Work],
      config: false,
      disableRoutes: true,
      logger: silentLogger,
      pollInterval: 50,
      maxPollInterval: 200,
      heartbeatInterval: 200,
      leaseDuration: 1000,
    });
    await ext.start();
    const COUNT = 1000;
    for (let n = 0; n < COUNT; n += 100) {
      await ext.engine.enqueueMany(
        Array.from({ length: 100 }, (_, i) => ({ job: Work, input: { n: n + i } })),
      );
    }
    for (let kill = 0; kill < 6; kill++) {
      await pause(100);
      await t.driver.query(`select pg_terminate_backend(pid)::text from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and state is not null`);
    }
    await until("all are completed", async () => {
      try {
        return (await t.store.jobs.counts()).completed === COUNT;
      } catch {
        return false; // that connection was the next to be killed
      }
    });
    assertEquals(runs.size, COUNT);
    const { pending, running, retrying, failed } = await t.store.jobs.counts();
    assertEquals([pending, running, retrying, failed], [0, 0, 0, 0]);
    await ext.stop();
  });

  it("a claim does not wait for the disk unless it is for suspects; what follows does again", async () => {
    await using t = await open();
    const setting = "select current_setting('synchronous_commit') as value";
    for (const [suspects, during] of [[false, "off"], [true, "on"]] as const) {
      await t.driver.transaction(async (tx) => {
        await tx.query(
          "select dispatch.claim(null, 'w', '{default}', '{mail}', 1, 1000, $1::bool, 2)::text",
          [suspects],
        );
        assertEquals(await tx.query(setting), [{ value: during }]);
      });
      const sessions = await Promise.all(Array.from({ length: 5 }, () => t.driver.query(setting)));
      assertEquals(sessions, sessions.map(() => [{ value: "on" }]));
    }
  });
});
