import { assert, assertEquals } from "@std/assert";
import { newId, withPrefix } from "../../core/id.ts";
import type { ClaimedJob } from "../../core/lease.ts";
import { type CaseContext, DONE, FAILURE, type StoreCase } from "./context.ts";

/** How long a hint may be under way, in real time: no case waits for longer than it takes. */
const PATIENCE_MS = 5000;

/** Notes which queues a store wakes. */
async function listen(t: CaseContext) {
  const woken: string[] = [];
  const stop = await t.store.onWake!((queue) => woken.push(queue));
  return {
    woken,
    stop,
    /** Resolves when the queue was woken since the last call. */
    async heard(queue: string, why: string): Promise<void> {
      const deadline = Date.now() + PATIENCE_MS;
      while (!woken.includes(queue)) {
        assert(Date.now() < deadline, `no wake after ${why}`);
        await t.clock.advance(1); // a store may hold hints back for a moment, by its clock
      }
      woken.length = 0;
    },
  };
}

/** A case for stores that give hints; the others have nothing to show. */
function wakeCase(name: string, run: (t: CaseContext) => Promise<void>): StoreCase {
  return { name, run: (t) => t.store.onWake === undefined ? Promise.resolve() : run(t) };
}

export const wakeCases: readonly StoreCase[] = [
  wakeCase("a queue is woken when a job is enqueued, if the store gives hints", async (t) => {
    const { heard } = await listen(t);
    await t.enqueue({ queue: "a" });
    await heard("a", "enqueue()");
    await t.store.jobs.enqueue([]);
    await t.enqueue({ queue: "b" });
    await heard("b", "enqueue()");
  }),
  wakeCase(
    "a queue is woken when a job of it may run again, if the store gives hints",
    async (t) => {
      const { job, lease } = await t.running({ queue: "a" });
      const { heard } = await listen(t);
      await t.settle(lease, { kind: "release", delayMs: 0 });
      await heard("a", "release");

      const second = await t.claimOnly(job.id);
      await t.settle(second.lease, { kind: "retry", failure: FAILURE, delayMs: 0 });
      await heard("a", "retry");

      await t.claimOnly(job.id);
      await t.expireAndRescue();
      await heard("a", "rescue()");

      const third = await t.claimOnly(job.id);
      await t.settle(third.lease, { kind: "dead", failure: FAILURE });
      await t.store.jobs.retry(job.id);
      await heard("a", "retry()");

      const fourth = await t.claimOnly(job.id);
      await t.settle(fourth.lease, { kind: "dead", failure: FAILURE });
      await t.store.deadLetters.replay(withPrefix("dlq", job.id), newId("job"));
      await heard("a", "replay()");

      await t.store.queues.configure("a", { paused: true });
      await t.store.queues.configure("a", { paused: false });
      await heard("a", "the queue was resumed");
    },
  ),
  wakeCase(
    "a queue with a limit is woken when a place is free, if the store gives hints",
    async (t) => {
      await t.store.queues.configure("a", { concurrency: 1 });
      await t.enqueueMany(2, { queue: "a" });
      const [{ lease }] = await t.claim({ queues: ["a"] });
      const { heard } = await listen(t);
      await t.settle(lease, DONE);
      await heard("a", "its only place became free");
    },
  ),
  wakeCase("a hint comes once there is something to claim, if the store gives hints", async (t) => {
    await t.store.queues.configure("default", { concurrency: 1 });
    const claims: Promise<ClaimedJob[]>[] = [];
    await t.store.onWake!(() => claims.push(t.claim()));
    const claimed = async (why: string) => {
      const deadline = Date.now() + PATIENCE_MS;
      for (;;) {
        const found = (await Promise.all(claims.splice(0))).flat();
        assert(found.length <= 1, "there is a single place");
        if (found.length === 1) return found[0];
        assert(Date.now() < deadline, `no hint that leads to a job after ${why}`);
        await t.clock.advance(1);
      }
    };
    await t.enqueueMany(2);
    const first = await claimed("enqueue()");
    await t.settle(first.lease, DONE);
    const second = await claimed("its only place became free");
    await t.settle(second.lease, { kind: "retry", failure: FAILURE, delayMs: 0 });
    await claimed("retry");
  }),
  wakeCase("who has stopped listening is not woken any more", async (t) => {
    const leaving = await listen(t);
    const staying = await listen(t);
    await t.enqueue();
    await leaving.heard("default", "enqueue()");
    await staying.heard("default", "enqueue()");
    await leaving.stop();
    leaving.woken.length = 0; // what was still under way
    await t.enqueue({ queue: "other" });
    await staying.heard("other", "enqueue()");
    assertEquals(leaving.woken, []);
  }),
];
