/** Attempts that end together: each is judged by its own lease, whatever else is in the batch. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { ClaimedJob } from "../../src/core/lease.ts";
import { postgresStore } from "../../src/store/postgres/store.ts";
import type { Settlement, Store } from "../../src/store/store.ts";
import { DONE, ids, newJob, range } from "../../src/testing/suite/context.ts";
import { createDatabase } from "../postgres.ts";

async function open() {
  const database = await createDatabase();
  const store = postgresStore(database.url);
  await store.migrate();
  return {
    store,
    async [Symbol.asyncDispose]() {
      await store.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

const claim = (store: Store, limit = 1000) =>
  store.jobs.claim({
    workerId: "w",
    queues: ["default"],
    names: ["mail"],
    limit,
    leaseMs: 60_000,
    suspects: false,
  });

const done = ({ lease }: ClaimedJob): Settlement => ({ lease, outcome: DONE });

describe("attempts on Postgres that complete together", () => {
  it("may be of claims whose jobs alternate, and have results, each its own", async () => {
    await using t = await open();
    // In the order of their ids every second one is claimed first.
    const jobs = range(40).map((i) => newJob({ priority: i % 2 }));
    await t.store.jobs.enqueue(jobs);
    const [first, second] = [await claim(t.store, 20), await claim(t.store, 20)];
    assert(first[0].lease.token !== second[0].lease.token);
    const all = [...first, ...second];
    const settlements = all.map(({ lease, job }, i): Settlement => ({
      lease,
      outcome: { kind: "complete", result: i % 3 === 0 ? "null" : JSON.stringify(`${job.id} "\\`) },
    }));
    assertEquals(new Set(await t.store.jobs.settle(settlements)), new Set(["settled"]));
    const records = await t.store.jobs.get(ids(all));
    records.forEach((record, i) => {
      const { outcome } = settlements[i];
      assertEquals(record?.state, "completed");
      assertEquals(record?.result, outcome.kind === "complete" ? outcome.result : null);
    });
  });

  it("do not end a job by the token that another one of them has", async () => {
    await using t = await open();
    await t.store.jobs.enqueue([newJob()]);
    const [stale] = await claim(t.store);
    await t.store.jobs.settle([{ lease: stale.lease, outcome: { kind: "release", delayMs: 0 } }]);
    await t.store.jobs.enqueue([newJob(), newJob()]);
    const fresh = await claim(t.store);
    assertEquals(new Set(fresh.map(({ lease }) => lease.token)).size, 1);
    const others = fresh.filter(({ job }) => job.id !== stale.job.id);
    const statuses = await t.store.jobs.settle([done(others[0]), done(stale), done(others[1])]);
    assertEquals(statuses, ["settled", "lost", "settled"]);
    assertEquals((await t.store.jobs.get([stale.job.id]))[0]?.state, "running");
    const held = fresh.find(({ job }) => job.id === stale.job.id)!;
    assertEquals(await t.store.jobs.settle([done(stale), done(held)]), ["lost", "settled"]);
    const { completed, running } = await t.store.jobs.counts();
    assertEquals([completed, running], [3, 0]);
  });

  it("tell which of a thousand were lost", async () => {
    await using t = await open();
    await t.store.jobs.enqueue(range(1000).map(() => newJob()));
    const claimed = await claim(t.store);
    const early = claimed.filter((_, i) => i % 10 === 7);
    await t.store.jobs.settle(early.map(done));
    const statuses = await t.store.jobs.settle(claimed.map(done));
    assertEquals(statuses, claimed.map((_, i) => i % 10 === 7 ? "lost" : "settled"));
    assertEquals((await t.store.jobs.counts()).completed, 1000);
  });
});
