import { assertEquals } from "@std/assert";
import type { JobState } from "../../core/job.ts";
import type { RetentionAges } from "../../store/store.ts";
import { DONE, ids, OUTCOMES, range, type StoreCase } from "./context.ts";

const KEEP_ALL: RetentionAges = { completed: null, failed: null, cancelled: null };
const FINAL = ["completed", "failed", "cancelled"] as const;

export const retentionCases: readonly StoreCase[] = [
  ...FINAL.map((state): StoreCase => ({
    name: `prune() removes jobs that have been ${state} for longer than asked`,
    async run(t) {
      const kept = [];
      for (const other of FINAL) if (other !== state) kept.push(await t.inState(other));
      const { id } = await t.inState(state);
      const ages = { ...KEEP_ALL, [state]: 5000 };
      await t.clock.advance(5000);
      assertEquals(await t.store.jobs.prune(ages, 100), 0, "just as long is not longer");
      await t.clock.advance(1);
      assertEquals(await t.store.jobs.prune(ages, 100), 1);
      assertEquals(await t.store.jobs.get([id]), [null]);
      assertEquals(await t.store.jobs.get(ids(kept)), kept, "the other states have no limit");
      assertEquals((await t.store.jobs.counts())[state], 0);
    },
  })),
  {
    name: "prune() without ages removes nothing",
    async run(t) {
      for (const state of FINAL) await t.inState(state);
      await t.clock.advance("365d");
      assertEquals(await t.store.jobs.prune(KEEP_ALL, 100), 0);
    },
  },
  {
    name: "prune() removes only the older ones",
    async run(t) {
      const jobs = [];
      for (const _ of range(4)) {
        jobs.push(await t.inState("completed"));
        await t.clock.advance(1000);
      }
      assertEquals(await t.store.jobs.prune({ ...KEEP_ALL, completed: 2500 }, 100), 2);
      const { items } = await t.store.jobs.list({ limit: 10, offset: 0 });
      assertEquals(ids(items), ids([jobs[3], jobs[2]]));
    },
  },
  {
    name: "prune() goes by when a job finished, not by when it was enqueued",
    async run(t) {
      const { job, lease } = await t.running();
      await t.clock.advance(60_000);
      await t.inState("completed");
      await t.clock.advance(10_000);
      await t.settle(lease, DONE);
      await t.clock.advance(1);
      assertEquals(await t.store.jobs.prune({ ...KEEP_ALL, completed: 5000 }, 100), 1);
      assertEquals((await t.job(job.id)).state, "completed");
    },
  },
  {
    name: "prune() never removes a job that has not finished, however old",
    async run(t) {
      const unfinished: JobState[] = ["retrying", "running", "pending"];
      for (const state of unfinished) await t.inState(state, { queue: state });
      await t.clock.advance("365d");
      const before = await t.snapshot();
      assertEquals(await t.store.jobs.prune({ completed: 0, failed: 0, cancelled: 0 }, 100), 0);
      assertEquals(await t.snapshot(), before);
    },
  },
  {
    name: "prune() goes by the latest end of a job that was retried",
    async run(t) {
      const { id } = await t.inState("cancelled");
      await t.clock.advance(10_000);
      await t.store.jobs.retry(id);
      const ages = { completed: 5000, failed: 5000, cancelled: 5000 };
      assertEquals(await t.store.jobs.prune(ages, 100), 0, "it waits again");
      await t.settle((await t.claimOnly(id)).lease, DONE);
      await t.clock.advance(5000);
      assertEquals(await t.store.jobs.prune(ages, 100), 0);
      await t.clock.advance(1);
      assertEquals(await t.store.jobs.prune(ages, 100), 1);
    },
  },
  {
    name: "prune() removes at most as many as asked for, over all states",
    async run(t) {
      for (const state of FINAL) for (const _ of range(2)) await t.inState(state);
      await t.clock.advance(1);
      const ages = { completed: 0, failed: 0, cancelled: 0 };
      const pruned = [];
      for (const limit of [0, 1, 3, 3, 3]) pruned.push(await t.store.jobs.prune(ages, limit));
      assertEquals(pruned, [0, 1, 3, 2, 0]);
    },
  },
  {
    name: "prune() removes jobs that ended together one after the other, past those that are gone",
    async run(t) {
      await t.enqueueMany(7);
      const claimed = await t.claim({ limit: 7 });
      const end = (of: typeof claimed, outcome = DONE) =>
        t.store.jobs.settle(of.map(({ lease }) => ({ lease, outcome })));
      await end([...claimed.slice(0, 5), claimed[0]]); // the lease of the last is lost by then
      await end(claimed.slice(5, 6));
      await t.clock.advance(1);
      await end(claimed.slice(6));
      await t.store.jobs.remove(claimed[1].job.id);
      const ages = { ...KEEP_ALL, completed: 0 };
      const pruned = [];
      for (const limit of [2, 2, 2]) pruned.push(await t.store.jobs.prune(ages, limit));
      assertEquals(pruned, [2, 2, 1]);
      const { items } = await t.store.jobs.list({ limit: 10, offset: 0 });
      assertEquals(ids(items), [claimed[6].job.id]);
    },
  },
  {
    name: "prune() finds those that completed among others that ended otherwise",
    async run(t) {
      await t.enqueueMany(OUTCOMES.length * 2);
      const claimed = await t.claim({ limit: OUTCOMES.length * 2 });
      await t.store.jobs.settle(claimed.map(({ lease }, i) => ({
        lease,
        outcome: OUTCOMES[i % OUTCOMES.length],
      })));
      const { completed, failed, cancelled } = await t.store.jobs.counts();
      assertEquals([completed, failed, cancelled], [2, 2, 2]);
      await t.clock.advance(1);
      assertEquals(await t.store.jobs.prune({ ...KEEP_ALL, completed: 0 }, 100), 2);
      assertEquals(await t.store.jobs.prune({ ...KEEP_ALL, failed: 0, cancelled: 0 }, 100), 4);
    },
  },
  {
    name: "the dead letter of a pruned or removed job stays",
    async run(t) {
      await t.inState("failed");
      const removed = await t.inState("failed");
      await t.store.jobs.remove(removed.id);
      await t.clock.advance(1);
      assertEquals(await t.store.jobs.prune({ completed: 0, failed: 0, cancelled: 0 }, 100), 1);
      assertEquals(await t.store.deadLetters.count({ replayed: false }), 2);
    },
  },
];
