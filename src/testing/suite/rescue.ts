import { assertEquals } from "@std/assert";
import { withPrefix } from "../../core/id.ts";
import { MAX_CRASHES } from "../../core/outcome.ts";
import { FAILURE, ids, LEASE_MS, type StoreCase } from "./context.ts";

export const rescueCases: readonly StoreCase[] = [
  {
    name: "rescue() takes back a lease that has run out, and counts the crash",
    async run(t) {
      const { job } = await t.running();
      const rescued = await t.expireAndRescue();
      const now = t.clock.held;
      const expected = { ...job, state: "pending", crashes: 1, runAt: now, updatedAt: now };
      assertEquals(rescued as unknown[], [expected]);
      assertEquals(await t.job(job.id) as unknown, expected);
    },
  },
  {
    name: "a rescued job may be claimed at once, as its next attempt",
    async run(t) {
      const { job } = await t.running();
      await t.expireAndRescue();
      const again = await t.claimOnly(job.id, { workerId: "worker-2" });
      assertEquals([again.job.attempt, again.job.crashes], [2, 1]);
      assertEquals([again.job.retryCount, again.job.failure], [0, null], "a crash is no failure");
    },
  },
  {
    name: "a job that has failed before is retrying again after a rescue",
    async run(t) {
      const { job, lease } = await t.running();
      await t.settle(lease, { kind: "retry", failure: FAILURE, delayMs: 0 });
      await t.claimOnly(job.id);
      const [rescued] = await t.expireAndRescue();
      assertEquals([rescued.state, rescued.retryCount], ["retrying", 1]);
    },
  },
  {
    name: "rescue() leaves alone what has not run out",
    async run(t) {
      const { job } = await t.running();
      await t.clock.advance(LEASE_MS - 1);
      assertEquals(await t.store.jobs.rescue(10), []);
      assertEquals(await t.job(job.id), job);
    },
  },
  {
    name: "rescue() leaves alone what does not run",
    async run(t) {
      for (const state of ["completed", "failed", "cancelled", "retrying", "pending"] as const) {
        await t.inState(state);
      }
      await t.clock.advance(LEASE_MS * 100);
      const before = await t.snapshot();
      assertEquals(await t.store.jobs.rescue(10), []);
      assertEquals(await t.snapshot(), before);
    },
  },
  {
    name: "rescue() takes back only the expired among many leases",
    async run(t) {
      const jobs = await t.enqueueMany(10);
      const early = await t.claim({ limit: 5, leaseMs: 1000 });
      await t.claim({ leaseMs: 60_000 });
      await t.clock.advance(1001);
      assertEquals(ids(await t.store.jobs.rescue(100)).sort(), ids(early));
      assertEquals(ids(await t.claim()), ids(jobs.slice(0, 5)));
    },
  },
  {
    name: "rescue() takes back at most as many as asked for, and the rest next time",
    async run(t) {
      const jobs = await t.enqueueMany(5);
      await t.claim();
      await t.clock.advance(LEASE_MS + 1);
      const rescued: string[][] = [];
      for (const limit of [2, 0, 2, 2]) rescued.push(ids(await t.store.jobs.rescue(limit)));
      assertEquals(rescued.map((round) => round.length), [2, 0, 2, 1]);
      assertEquals(rescued.flat().sort(), ids(jobs));
    },
  },
  {
    name: "an extended lease is rescued only when its extension has run out",
    async run(t) {
      const { job, lease } = await t.running();
      for (let beat = 0; beat < 20; beat++) { // a job far longer than its lease
        await t.clock.advance(LEASE_MS - 1000);
        assertEquals(await t.extend(lease), "held");
        assertEquals(await t.store.jobs.rescue(10), []);
      }
      await t.clock.advance(LEASE_MS - 1);
      assertEquals(await t.store.jobs.rescue(10), []);
      await t.clock.advance(2);
      assertEquals(ids(await t.store.jobs.rescue(10)), [job.id]);
      assertEquals(await t.extend(lease), "lost");
    },
  },
  {
    name: "an extension runs from now, not from the end of the lease",
    async run(t) {
      const { job, lease } = await t.running();
      await t.extend(lease, 1000);
      await t.clock.advance(1001);
      assertEquals(ids(await t.store.jobs.rescue(10)), [job.id]);
    },
  },
  {
    name: "a job that crashes as often as allowed dies of a crash loop, with a letter",
    async run(t) {
      const { id } = await t.enqueue({ maxRetries: 25 });
      for (let crash = 1; crash < MAX_CRASHES; crash++) {
        await t.claimOnly(id);
        const [rescued] = await t.expireAndRescue();
        assertEquals([rescued.state, rescued.crashes], ["pending", crash]);
      }
      await t.claimOnly(id);
      const [dead] = await t.expireAndRescue();
      assertEquals([dead.state, dead.crashes], ["failed", MAX_CRASHES]);
      assertEquals(dead.failure?.code, "crash_loop");
      assertEquals(dead.completedAt, t.clock.held);
      assertEquals(await t.job(id), dead);
      const letter = await t.store.deadLetters.get(withPrefix("dlq", id));
      assertEquals(letter?.failure.code, "crash_loop");
      assertEquals(letter?.failedAt, t.clock.held);
      assertEquals(await t.claim({ suspects: true }), []);
    },
  },
  {
    name: "crashes add up over attempts that failed in between",
    async run(t) {
      const { id } = await t.enqueue();
      for (let crash = 1; crash <= MAX_CRASHES; crash++) {
        const { lease } = await t.claimOnly(id);
        await t.settle(lease, { kind: "retry", failure: FAILURE, delayMs: 0 });
        await t.claimOnly(id);
        await t.expireAndRescue();
      }
      const job = await t.job(id);
      assertEquals([job.state, job.failure?.code], ["failed", "crash_loop"]);
    },
  },
  {
    name: "rescue() cancels a job that was to be cancelled",
    async run(t) {
      const { job } = await t.running();
      await t.store.jobs.cancel(job.id);
      const [rescued] = await t.expireAndRescue();
      assertEquals(rescued.state, "cancelled");
      assertEquals(rescued.completedAt, t.clock.held);
      assertEquals(rescued.cancelRequested, false);
      assertEquals(await t.claim(), []);
    },
  },
  {
    name: "a job that was to be cancelled does not die of a crash loop",
    async run(t) {
      const { id } = await t.enqueue();
      for (let crash = 1; crash < MAX_CRASHES; crash++) {
        await t.claimOnly(id);
        await t.expireAndRescue();
      }
      await t.claimOnly(id);
      await t.store.jobs.cancel(id);
      assertEquals((await t.expireAndRescue())[0].state, "cancelled");
      assertEquals(await t.store.deadLetters.count({}), 0);
    },
  },
  {
    name: "rescuers that run at the same time take each lease back once",
    async run(t) {
      const jobs = await t.enqueueMany(20);
      await t.claim();
      await t.clock.advance(LEASE_MS + 1);
      const peers = [t.store, await t.peer(), await t.peer()];
      const rescued = (await Promise.all(peers.map((peer) => peer.jobs.rescue(100)))).flat();
      assertEquals(ids(rescued).sort(), ids(jobs));
      assertEquals(rescued.map((job) => job.crashes), jobs.map(() => 1));
    },
  },
];
