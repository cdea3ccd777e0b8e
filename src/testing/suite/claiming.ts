import { assertEquals, assertNotEquals } from "@std/assert";
import { type CaseContext, FAILURE, ids, LEASE_MS, type StoreCase } from "./context.ts";

/** A job that has crashed as often as makes it a suspect, and is ready. */
async function suspect(t: CaseContext): Promise<string> {
  const { id } = await t.enqueue();
  for (let crash = 0; crash < 2; crash++) {
    await t.claimOnly(id);
    await t.expireAndRescue();
  }
  return id;
}

export const claimingCases: readonly StoreCase[] = [
  {
    name: "claim() marks the job as running and says who runs it since when",
    async run(t) {
      const pending = await t.enqueue({ payload: "[1]", tags: ["a"], scope: { appId: "x" } });
      await t.clock.advance(1234);
      const [{ job, lease }] = await t.claim({ workerId: "worker-7" });
      const now = t.clock.held;
      assertEquals(job, {
        ...pending,
        state: "running",
        attempt: 1,
        workerId: "worker-7",
        startedAt: now,
        heartbeatAt: now,
        updatedAt: now,
      });
      assertEquals(lease.jobId, pending.id);
      assertEquals(await t.job(pending.id), job);
    },
  },
  {
    name: "claim() counts each attempt, and each gets a lease of its own",
    async run(t) {
      const { id } = await t.enqueue();
      const tokens = new Set();
      for (const attempt of [1, 2, 3]) {
        const { job, lease } = await t.claimOnly(id, { workerId: `worker-${attempt}` });
        assertEquals(job.attempt, attempt);
        assertEquals(job.workerId, `worker-${attempt}`);
        assertEquals(job.startedAt, t.clock.held);
        tokens.add(lease.token);
        await t.settle(lease, { kind: "retry", failure: FAILURE, delayMs: 100 });
        await t.clock.advance(100);
      }
      assertEquals(tokens.size, 3);
    },
  },
  {
    name: "a job that is running is not claimed again",
    async run(t) {
      await t.enqueue();
      assertEquals((await t.claim()).length, 1);
      assertEquals(await t.claim({ workerId: "worker-2" }), []);
    },
  },
  {
    name: "claim() returns at most as many jobs as asked for",
    async run(t) {
      const jobs = await t.enqueueMany(5);
      assertEquals(ids(await t.claim({ limit: 2 })), ids(jobs.slice(0, 2)));
      assertEquals(ids(await t.claim({ limit: 0 })), []);
      assertEquals(ids(await t.claim({ limit: 100 })), ids(jobs.slice(2)));
      assertEquals((await t.store.jobs.counts()).running, 5);
    },
  },
  {
    name: "the limit of a claim holds over several queues",
    async run(t) {
      await t.enqueueMany(2, { queue: "a" });
      await t.enqueueMany(2, { queue: "b" });
      assertEquals((await t.claim({ queues: ["a", "b"], limit: 3 })).length, 3);
    },
  },
  {
    name: "jobs of names that are not asked for stay untouched",
    async run(t) {
      const first = await t.enqueue({ name: "unknown", priority: 10 });
      const known = await t.enqueue();
      const second = await t.enqueue({ name: "unknown" });
      assertEquals(ids(await t.claim()), [known.id]);
      assertEquals(await t.store.jobs.get([first.id, second.id]), [first, second]);
      assertEquals(await t.claim({ names: [] }), []);
      assertEquals(ids(await t.claim({ names: ["unknown"] })), ids([first, second]));
    },
  },
  {
    name: "many jobs of other names do not hide one that can run",
    async run(t) {
      await t.enqueueMany(500, { name: "unknown", priority: 5 });
      const known = await t.enqueue();
      assertEquals(ids(await t.claim({ limit: 1 })), [known.id]);
    },
  },
  {
    name: "jobs of queues that are not asked for stay untouched",
    async run(t) {
      const other = await t.enqueue({ queue: "other" });
      assertEquals(await t.claim(), []);
      assertEquals(await t.claim({ queues: [] }), []);
      assertEquals(await t.job(other.id), other);
    },
  },
  {
    name: "a queue that nobody has mentioned yet has no jobs",
    async run(t) {
      const known = await t.enqueue();
      assertEquals(ids(await t.claim({ queues: ["never", "default", "ever"] })), [known.id]);
    },
  },
  {
    name: "jobs in a final state are not claimed",
    async run(t) {
      for (const state of ["completed", "failed", "cancelled"] as const) await t.inState(state);
      assertEquals(await t.claim(), []);
    },
  },
  {
    name: "suspects of a crash loop are claimed only where they are asked for",
    async run(t) {
      const crashing = await suspect(t);
      const [a, b] = await t.enqueueMany(2);
      assertEquals(ids(await t.claim()), ids([a, b]));
      const [claimed] = await t.claim({ suspects: true });
      assertEquals(claimed.job.id, crashing);
      assertEquals(claimed.job.crashes, 2);
    },
  },
  {
    name: "a job is no suspect after a single crash",
    async run(t) {
      const { id } = await t.enqueue();
      await t.claimOnly(id);
      await t.expireAndRescue();
      assertEquals(await t.claim({ suspects: true }), []);
      assertEquals(ids(await t.claim()), [id]);
    },
  },
  {
    name: "retry() clears a suspect",
    async run(t) {
      const id = await suspect(t);
      await t.store.jobs.cancel(id);
      assertEquals((await t.store.jobs.retry(id)).crashes, 0);
      assertEquals(await t.claim({ suspects: true }), []);
      assertEquals(ids(await t.claim()), [id]);
    },
  },
  {
    name: "a lease lasts as long as the claim asked for",
    async run(t) {
      const [short, long] = await t.enqueueMany(2);
      await t.claim({ limit: 1, leaseMs: 1000 });
      await t.claim({ limit: 1, leaseMs: LEASE_MS });
      await t.clock.advance(1001);
      assertEquals(ids(await t.store.jobs.rescue(10)), [short.id]);
      await t.clock.advance(LEASE_MS);
      assertEquals(ids(await t.store.jobs.rescue(10)), [long.id]);
    },
  },
  {
    name: "extend() records the heartbeat, and progress where there is some",
    async run(t) {
      const { job, lease } = await t.running();
      await t.clock.advance(100);
      assertEquals(await t.store.jobs.extend([{ lease, progress: '{"done":1}' }], 1000), ["held"]);
      const reported = await t.job(job.id);
      assertEquals(reported.progress, '{"done":1}');
      assertEquals(reported.heartbeatAt, t.clock.held);
      assertEquals(reported.updatedAt, t.clock.held);
      await t.clock.advance(100);
      assertEquals(await t.extend(lease), "held");
      const extended = await t.job(job.id);
      assertEquals(extended.progress, '{"done":1}', "no news leaves it as it is");
      assertEquals(extended.heartbeatAt, t.clock.held);
    },
  },
  {
    name: "extend() answers in the order of the leases, and tells of a cancellation",
    async run(t) {
      await t.enqueueMany(3);
      const [a, b, c] = await t.claim();
      await t.settle(a.lease, { kind: "release", delayMs: 0 });
      await t.store.jobs.cancel(c.job.id);
      const leases = [c, a, b].map(({ lease }) => ({ lease }));
      assertEquals(await t.store.jobs.extend(leases, LEASE_MS), ["cancelling", "lost", "held"]);
      assertEquals(await t.store.jobs.extend([], LEASE_MS), []);
      assertNotEquals((await t.job(a.job.id)).state, "running");
    },
  },
];
