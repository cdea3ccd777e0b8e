import { assertEquals, assertNotEquals } from "@std/assert";
import { newId, withPrefix } from "../../core/id.ts";
import type { JobRecord } from "../../core/job.ts";
import { assertRefused, type CaseContext, FAILURE, newJob, type StoreCase } from "./context.ts";

const KEY = { uniqueKey: "invoice-7" };

/** Asserts that the job still holds its key: a second one is not made, and nothing changes. */
async function assertHeldBy(t: CaseContext, holder: JobRecord): Promise<void> {
  const before = await t.snapshot();
  const asked = newJob({ ...KEY, payload: '"second"', priority: 9 });
  assertEquals(await t.store.jobs.enqueue([asked]), [holder]);
  assertEquals(await t.store.jobs.get([asked.id]), [null]);
  assertEquals(await t.snapshot(), before);
}

export const uniqueCases: readonly StoreCase[] = [
  ...(["pending", "running", "retrying"] as const).map((state): StoreCase => ({
    name: `no second job is made while one that is ${state} holds the unique key`,
    run: async (t) => assertHeldBy(t, await t.inState(state, KEY)),
  })),
  {
    name: "no second job is made while one that was rescued or released holds the unique key",
    async run(t) {
      const { job } = await t.running(KEY);
      const [rescued] = await t.expireAndRescue();
      await assertHeldBy(t, rescued);
      const again = await t.claimOnly(job.id);
      await t.settle(again.lease, { kind: "release", delayMs: 1000 });
      await assertHeldBy(t, await t.job(job.id));
    },
  },
  ...(["completed", "failed", "cancelled"] as const).map((state): StoreCase => ({
    name: `the unique key is free once its job is ${state}`,
    async run(t) {
      const first = await t.inState(state, KEY);
      const second = await t.enqueue(KEY);
      assertNotEquals(second.id, first.id);
      assertEquals(second.state, "pending");
      assertEquals(await t.job(first.id), first);
      await assertHeldBy(t, second);
    },
  })),
  {
    name: "the unique key is free once its job died of a crash loop",
    async run(t) {
      const { id } = await t.enqueue(KEY);
      for (let crash = 0; crash < 3; crash++) {
        await t.claimOnly(id);
        await t.expireAndRescue();
      }
      assertNotEquals((await t.enqueue(KEY)).id, id);
    },
  },
  {
    name: "the unique key is free once its job was removed",
    async run(t) {
      const first = await t.enqueue(KEY);
      await t.store.jobs.remove(first.id);
      assertNotEquals((await t.enqueue(KEY)).id, first.id);
    },
  },
  {
    name: "removing or pruning a finished job does not free the key of its successor",
    async run(t) {
      const first = await t.inState("completed", KEY);
      const second = await t.inState("cancelled", KEY);
      const holder = await t.enqueue(KEY);
      await t.store.jobs.remove(second.id);
      await assertHeldBy(t, holder);
      await t.clock.advance(1000);
      assertEquals(await t.store.jobs.prune({ completed: 0, failed: 0, cancelled: 0 }, 10), 1);
      assertEquals(await t.store.jobs.get([first.id]), [null]);
      await assertHeldBy(t, holder);
    },
  },
  {
    name: "a unique key holds within one name, over all its queues",
    async run(t) {
      const mail = await t.enqueue(KEY);
      assertEquals((await t.enqueue({ ...KEY, queue: "other" })).id, mail.id);
      const sms = await t.enqueue({ ...KEY, name: "sms" });
      assertEquals([sms.name, sms.state], ["sms", "pending"]);
      assertNotEquals((await t.enqueue({ uniqueKey: "invoice-8" })).id, mail.id);
    },
  },
  {
    name: "jobs without a unique key never stand in each other's way",
    async run(t) {
      await t.enqueueMany(3);
      assertEquals((await t.store.jobs.counts()).pending, 3);
    },
  },
  {
    name: "of two jobs with one unique key in one call only the first is made",
    async run(t) {
      const jobs = [newJob(KEY), newJob(), newJob(KEY), newJob({ ...KEY, name: "sms" })];
      const [a, b, c, d] = await t.store.jobs.enqueue(jobs);
      assertEquals(
        [a.id, b.id, c.id, d.id],
        [jobs[0].id, jobs[1].id, jobs[0].id, jobs[3].id],
      );
      assertEquals((await t.store.jobs.counts()).pending, 3);
    },
  },
  {
    name: "of many that enqueue the same unique key at once exactly one gets its job",
    async run(t) {
      const peers = [t.store, await t.peer(), await t.peer()];
      for (let round = 0; round < 5; round++) {
        const key = { uniqueKey: `round-${round}` };
        const asked = Array.from({ length: 12 }, () => newJob(key));
        const made = await Promise.all(
          asked.map((job, i) => peers[i % peers.length].jobs.enqueue([job])),
        );
        const answers = new Set(made.flat().map((job) => job.id));
        assertEquals(answers.size, 1, "everyone is told of the same job");
        const kept = await t.store.jobs.get(asked.map((job) => job.id));
        assertEquals(kept.filter((job) => job !== null).map((job) => job.id), [...answers]);
      }
    },
  },
  {
    name: "retry() is refused while another job holds the unique key",
    async run(t) {
      for (const state of ["failed", "cancelled"] as const) {
        const first = await t.inState(state, KEY);
        const holder = await t.enqueue(KEY);
        const before = await t.snapshot();
        await assertRefused("unique_conflict", () => t.store.jobs.retry(first.id));
        assertEquals(await t.snapshot(), before);
        await t.store.jobs.cancel(holder.id);
        assertEquals((await t.store.jobs.retry(first.id)).state, "pending");
        await assertHeldBy(t, await t.job(first.id));
        await t.store.jobs.cancel(first.id);
      }
    },
  },
  {
    name: "retry() of a waiting job is not in conflict with itself",
    async run(t) {
      const { id } = await t.inState("retrying", KEY);
      await assertHeldBy(t, await t.store.jobs.retry(id));
    },
  },
  {
    name: "replay() is refused while another job holds the unique key",
    async run(t) {
      const { lease } = await t.running(KEY);
      await t.settle(lease, { kind: "dead", failure: FAILURE });
      const letter = withPrefix("dlq", lease.jobId);
      const holder = await t.enqueue(KEY);
      const before = await t.snapshot();
      await assertRefused(
        "unique_conflict",
        () => t.store.deadLetters.replay(letter, newId("job")),
      );
      assertEquals(await t.snapshot(), before, "the letter can still be replayed");
      await t.store.jobs.cancel(holder.id);
      const replayed = await t.store.deadLetters.replay(letter, newId("job"));
      await assertHeldBy(t, replayed);
    },
  },
];
