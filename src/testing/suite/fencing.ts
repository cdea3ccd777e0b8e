import { assertEquals } from "@std/assert";
import { newId } from "../../core/id.ts";
import type { ClaimedJob, Lease } from "../../core/lease.ts";
import {
  type CaseContext,
  DONE,
  FAILURE,
  ids,
  LEASE_MS,
  OUTCOMES,
  type StoreCase,
} from "./context.ts";

/** A way in which a worker loses its lease without noticing. */
interface WayToLose {
  /** Completes the sentence "a lease is worthless once its job …". */
  readonly how: string;
  /** Takes the job away from its worker. Returns the lease of the new owner, if there is one. */
  take(t: CaseContext, claimed: ClaimedJob): Promise<ClaimedJob | null>;
}

const WAYS_TO_LOSE: readonly WayToLose[] = [
  ...OUTCOMES.map((outcome): WayToLose => ({
    how: `was settled with ${outcome.kind}`,
    async take(t, { lease }) {
      await t.settle(lease, outcome);
      return null;
    },
  })),
  {
    how: "was rescued",
    async take(t) {
      await t.expireAndRescue();
      return null;
    },
  },
  {
    how: "was rescued and claimed by another worker",
    async take(t, { job }) {
      await t.expireAndRescue();
      return await t.claimOnly(job.id, { workerId: "worker-2" });
    },
  },
  {
    how: "was rescued and claimed by the same worker",
    async take(t, { job }) {
      await t.expireAndRescue();
      return await t.claimOnly(job.id);
    },
  },
  {
    how: "was rescued and claimed in the same millisecond by workers that gave it back",
    async take(t, { job }) {
      await t.expireAndRescue();
      for (const workerId of ["worker-2", "worker-3"]) {
        const { lease } = await t.claimOnly(job.id, { workerId });
        await t.settle(lease, { kind: "release", delayMs: 0 });
      }
      return await t.claimOnly(job.id);
    },
  },
  {
    // The attempt is given back: a store that fences with the number of the attempt fails here.
    how: "was released and claimed again",
    async take(t, { job, lease }) {
      await t.settle(lease, { kind: "release", delayMs: 0 });
      return await t.claimOnly(job.id);
    },
  },
  {
    how: "was retried and claimed again",
    async take(t, { job, lease }) {
      await t.settle(lease, { kind: "retry", failure: FAILURE, delayMs: 0 });
      return await t.claimOnly(job.id);
    },
  },
  {
    how: "died, was retried by hand and claimed again",
    async take(t, { job, lease }) {
      await t.settle(lease, { kind: "dead", failure: FAILURE });
      await t.store.jobs.retry(job.id);
      return await t.claimOnly(job.id);
    },
  },
  {
    how: "was rescued and then cancelled while it waited",
    async take(t, { job }) {
      await t.expireAndRescue();
      await t.store.jobs.cancel(job.id);
      return null;
    },
  },
  {
    how: "was to be cancelled and was rescued",
    async take(t, { job }) {
      await t.store.jobs.cancel(job.id);
      await t.expireAndRescue();
      return null;
    },
  },
  {
    how: "died of a crash loop",
    async take(t, { job }) {
      await t.expireAndRescue();
      for (let crash = 1; crash < 3; crash++) {
        await t.claimOnly(job.id);
        await t.expireAndRescue();
      }
      return null;
    },
  },
  {
    how: "was removed",
    async take(t, { job, lease }) {
      await t.settle(lease, DONE);
      await t.store.jobs.remove(job.id);
      return null;
    },
  },
  {
    how: "was pruned",
    async take(t, { lease }) {
      await t.settle(lease, DONE);
      await t.clock.advance(1000);
      await t.store.jobs.prune({ completed: 0, failed: null, cancelled: null }, 10);
      return null;
    },
  },
];

/** Every write that presents a lease, with what it says of one that is lost. */
const WRITES: readonly { what: string; write(t: CaseContext, lease: Lease): Promise<string> }[] = [
  ...OUTCOMES.map((outcome) => ({
    what: `settle(${outcome.kind})`,
    write: (t: CaseContext, lease: Lease) => t.settle(lease, outcome),
  })),
  { what: "extend()", write: (t, lease) => t.extend(lease) },
  {
    what: "extend() with progress",
    write: async (t, lease) =>
      (await t.store.jobs.extend([{ lease, progress: '"forged"' }], LEASE_MS))[0],
  },
];

/** Every write under the lease is refused, and none of them changes anything. */
async function assertWorthless(t: CaseContext, lease: Lease): Promise<void> {
  const before = await t.snapshot();
  for (const { what, write } of WRITES) {
    assertEquals(await write(t, lease), "lost", what);
    assertEquals(await t.snapshot(), before, `after ${what}`);
  }
}

export const fencingCases: readonly StoreCase[] = [
  ...WAYS_TO_LOSE.map(({ how, take }): StoreCase => ({
    name: `a lease is worthless once its job ${how}`,
    async run(t) {
      const claimed = await t.running();
      const owner = await take(t, claimed);
      await t.clock.advance(10); // so that a write in vain would show in the times
      await assertWorthless(t, claimed.lease);
      if (owner === null) return;
      assertEquals(await t.extend(owner.lease), "held", "the owner is not disturbed");
      assertEquals(await t.settle(owner.lease, DONE), "settled");
    },
  })),
  {
    name: "a lease of a job that does not exist is worthless",
    async run(t) {
      const { lease } = await t.running();
      await assertWorthless(t, { ...lease, jobId: newId("job") });
    },
  },
  {
    name: "a lost lease does not spoil the others of the same call",
    async run(t) {
      await t.enqueueMany(3);
      const [a, b, c] = await t.claim();
      await t.settle(b.lease, { kind: "release", delayMs: 60_000 });
      const released = await t.job(b.job.id);
      const settlements = [a, b, c].map(({ lease }) => ({ lease, outcome: DONE }));
      assertEquals(await t.store.jobs.settle(settlements), ["settled", "lost", "settled"]);
      assertEquals(await t.job(b.job.id), released);
      assertEquals((await t.store.jobs.counts()).completed, 2);
    },
  },
  {
    name: "a stale and the current lease of one job in one call: only the current one counts",
    async run(t) {
      const stale = await t.running();
      await t.expireAndRescue();
      const current = await t.claimOnly(stale.job.id);
      const statuses = await t.store.jobs.settle([
        { lease: stale.lease, outcome: { kind: "dead", failure: FAILURE } },
        { lease: current.lease, outcome: { kind: "complete", result: '"current"' } },
        { lease: stale.lease, outcome: { kind: "complete", result: '"stale"' } },
      ]);
      assertEquals(statuses, ["lost", "settled", "lost"]);
      const job = await t.job(stale.job.id);
      assertEquals([job.state, job.result, job.failure], ["completed", '"current"', null]);
      assertEquals(await t.store.deadLetters.count({}), 0);
    },
  },
  {
    name: "a lease that has run out may still settle until it is rescued",
    async run(t) {
      const { job, lease } = await t.running();
      await t.clock.advance(LEASE_MS * 2);
      assertEquals(await t.settle(lease, DONE), "settled");
      const settled = await t.job(job.id);
      assertEquals(settled.state, "completed");
      assertEquals(await t.store.jobs.rescue(10), [], "nothing is left to rescue");
      assertEquals(await t.job(job.id), settled);
    },
  },
  {
    name: "a lease that has run out may still be extended until it is rescued",
    async run(t) {
      const { job, lease } = await t.running();
      await t.clock.advance(LEASE_MS * 2);
      assertEquals(await t.extend(lease), "held");
      assertEquals(await t.store.jobs.rescue(10), []);
      assertEquals((await t.job(job.id)).crashes, 0);
    },
  },
  {
    name: "a peer's rescue takes the lease away as well",
    async run(t) {
      const peer = await t.peer();
      const { job, lease } = await t.running();
      await t.clock.advance(LEASE_MS + 1);
      assertEquals(ids(await peer.jobs.rescue(10)), [job.id]);
      const [again] = await t.claim({ workerId: "worker-2" }, peer);
      await assertWorthless(t, lease);
      assertEquals(await t.settle(again.lease, DONE), "settled");
    },
  },
];
