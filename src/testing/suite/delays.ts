import { assertEquals } from "@std/assert";
import type { JobRecord } from "../../core/job.ts";
import { type CaseContext, FAILURE, ids, type StoreCase } from "./context.ts";

/** Asserts that the job becomes ready `ms` from now, not a millisecond sooner. */
async function assertDueAfter(t: CaseContext, job: JobRecord, ms: number): Promise<void> {
  assertEquals(job.runAt, t.clock.held + ms);
  await t.clock.advance(ms - 1);
  assertEquals(ids(await t.claim()), [], "before it is due");
  await t.clock.advance(1);
  assertEquals(ids(await t.claim()), [job.id], "when it is due");
}

/** What `nextDue()` says of plain jobs. */
function nextDue(t: CaseContext, queues = ["default"], names = ["mail"]): Promise<number | null> {
  return t.store.jobs.nextDue(queues, names);
}

export const delayCases: readonly StoreCase[] = [
  {
    name: "a job with a delay becomes ready that long after it was enqueued",
    run: async (t) => assertDueAfter(t, await t.enqueue({ delayMs: 1500 }), 1500),
  },
  {
    name: "a job with a runAt becomes ready at that moment",
    run: async (t) => assertDueAfter(t, await t.enqueue({ runAt: t.clock.held + 90_000 }), 90_000),
  },
  {
    name: "a runAt takes precedence over a delay",
    async run(t) {
      const job = await t.enqueue({ runAt: t.clock.held, delayMs: 5000 });
      assertEquals(ids(await t.claim()), [job.id]);
    },
  },
  {
    name: "a runAt in the past is kept, and is due at once",
    async run(t) {
      const runAt = t.clock.held - 86_400_000;
      const job = await t.enqueue({ runAt });
      assertEquals(job.runAt, runAt);
      assertEquals(ids(await t.claim()), [job.id]);
    },
  },
  {
    name: "a job that is not due never runs before one that is, whatever its priority",
    async run(t) {
      const urgent = await t.enqueue({ priority: 1000, delayMs: 1000 });
      const normal = await t.enqueue();
      assertEquals(ids(await t.claim()), [normal.id]);
      await t.clock.advance(1000);
      assertEquals(ids(await t.claim()), [urgent.id]);
    },
  },
  {
    name: "a retried job becomes ready when its delay is over",
    async run(t) {
      const { job, lease } = await t.running();
      await t.clock.advance(250);
      await t.settle(lease, { kind: "retry", failure: FAILURE, delayMs: 4000 });
      await assertDueAfter(t, await t.job(job.id), 4000);
    },
  },
  {
    name: "a released job becomes ready when its delay is over",
    async run(t) {
      const { job, lease } = await t.running();
      await t.clock.advance(250);
      await t.settle(lease, { kind: "release", delayMs: 4000 });
      await assertDueAfter(t, await t.job(job.id), 4000);
    },
  },
  {
    name: "a job that was retried or released without a delay is ready at once",
    async run(t) {
      const { job, lease } = await t.running();
      await t.settle(lease, { kind: "retry", failure: FAILURE, delayMs: 0 });
      const again = await t.claimOnly(job.id);
      await t.settle(again.lease, { kind: "release", delayMs: 0 });
      await t.claimOnly(job.id);
    },
  },
  {
    name: "retry() makes a job that waits for its next attempt ready at once",
    async run(t) {
      const { id } = await t.inState("retrying");
      const job = await t.store.jobs.retry(id);
      assertEquals(job.runAt, t.clock.held);
      await t.claimOnly(id);
    },
  },
  {
    name: "many delays become due in the order of their moments",
    async run(t) {
      const late = await t.enqueue({ delayMs: 300 });
      const early = await t.enqueue({ delayMs: 100 });
      const middle = await t.enqueue({ delayMs: 200 });
      await t.clock.advance(200);
      assertEquals(ids(await t.claim()), ids([early, middle]));
      await t.clock.advance(100);
      assertEquals(ids(await t.claim()), [late.id]);
    },
  },
  {
    name: "nextDue() is 0 where a job is ready, and null where none waits",
    async run(t) {
      assertEquals(await nextDue(t), null);
      await t.enqueue();
      await t.enqueue({ delayMs: 500 });
      assertEquals(await nextDue(t), 0);
      const [{ lease }] = await t.claim();
      assertEquals(await nextDue(t), 500);
      await t.clock.advance(500);
      assertEquals(await nextDue(t), 0);
      await t.claim();
      assertEquals(await nextDue(t), null, "running jobs are not due");
      await t.settle(lease, { kind: "retry", failure: FAILURE, delayMs: 700 });
      assertEquals(await nextDue(t), 700);
    },
  },
  {
    name: "nextDue() looks only at the queues and names that are asked for",
    async run(t) {
      await t.enqueue({ delayMs: 900 });
      await t.enqueue({ queue: "other", delayMs: 300 });
      await t.enqueue({ name: "sms", delayMs: 100 });
      assertEquals(await nextDue(t), 900);
      assertEquals(await nextDue(t, ["default", "other"]), 300);
      assertEquals(await nextDue(t, ["default", "other"], ["mail", "sms"]), 100);
      assertEquals(await nextDue(t, ["nowhere"]), null);
      assertEquals(await nextDue(t, ["default"], ["unheard-of"]), null);
    },
  },
  {
    name: "nextDue() forgets jobs that were cancelled or removed",
    async run(t) {
      const [first, second, third] = [
        await t.enqueue({ delayMs: 100 }),
        await t.enqueue({ delayMs: 200 }),
        await t.enqueue({ delayMs: 300 }),
      ];
      await t.store.jobs.cancel(first.id);
      assertEquals(await nextDue(t), 200);
      await t.store.jobs.remove(second.id);
      assertEquals(await nextDue(t), 300);
      await t.store.jobs.cancel(third.id);
      assertEquals(await nextDue(t), null);
    },
  },
];
