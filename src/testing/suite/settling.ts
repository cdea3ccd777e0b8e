import { assertEquals } from "@std/assert";
import { withPrefix } from "../../core/id.ts";
import type { JobOutcome } from "../../core/outcome.ts";
import { DONE, FAILURE, OUTCOMES, type StoreCase } from "./context.ts";

export const settlingCases: readonly StoreCase[] = [
  {
    name: "complete keeps the result and ends the job",
    async run(t) {
      const { job, lease } = await t.running();
      await t.clock.advance(50);
      assertEquals(await t.settle(lease, { kind: "complete", result: '{"n":1.50}' }), "settled");
      const now = t.clock.held;
      assertEquals(await t.job(job.id), {
        ...job,
        state: "completed",
        result: '{"n":1.50}',
        completedAt: now,
        updatedAt: now,
      });
    },
  },
  {
    name: "complete forgets the failure of an earlier attempt, and keeps the count of failures",
    async run(t) {
      const { job, lease } = await t.running();
      await t.settle(lease, { kind: "retry", failure: FAILURE, delayMs: 0 });
      await t.settle((await t.claimOnly(job.id)).lease, DONE);
      const done = await t.job(job.id);
      assertEquals([done.failure, done.retryCount, done.attempt], [null, 1, 2]);
    },
  },
  {
    name: "retry counts the failure, keeps it and has the job wait",
    async run(t) {
      const { job, lease } = await t.running();
      await t.clock.advance(50);
      await t.settle(lease, { kind: "retry", failure: FAILURE, delayMs: 1000 });
      const now = t.clock.held;
      assertEquals(await t.job(job.id), {
        ...job,
        state: "retrying",
        retryCount: 1,
        failure: FAILURE,
        runAt: now + 1000,
        updatedAt: now,
      });
    },
  },
  {
    name: "a failure without a stack stays without one",
    async run(t) {
      const failure = { code: "timeout", message: "" } as const;
      const { job, lease } = await t.running();
      await t.settle(lease, { kind: "retry", failure, delayMs: 0 });
      assertEquals((await t.job(job.id)).failure, failure);
    },
  },
  {
    name: "release gives the attempt back and counts no failure",
    async run(t) {
      const { job, lease } = await t.running();
      await t.clock.advance(50);
      await t.settle(lease, { kind: "release", delayMs: 1000 });
      const now = t.clock.held;
      assertEquals(await t.job(job.id), {
        ...job,
        state: "pending",
        attempt: 0,
        runAt: now + 1000,
        updatedAt: now,
      });
    },
  },
  {
    name: "a job that has failed before is retrying again after a release",
    async run(t) {
      const { job, lease } = await t.running();
      await t.settle(lease, { kind: "retry", failure: FAILURE, delayMs: 0 });
      const second = await t.claimOnly(job.id);
      await t.settle(second.lease, { kind: "release", delayMs: 0 });
      const released = await t.job(job.id);
      assertEquals(
        [released.state, released.attempt, released.retryCount, released.failure],
        ["retrying", 1, 1, FAILURE],
      );
    },
  },
  {
    name: "dead ends the job and writes its letter in the same call",
    async run(t) {
      const { job, lease } = await t.running({
        name: "resize",
        queue: "images",
        payload: '{"file":"ü.png"}',
        priority: 4,
        timeoutMs: 5000,
        maxRetries: 2,
        uniqueKey: "k",
        tags: ["t1", "t2"],
        scope: { appId: "app", orgId: "org" },
      });
      await t.clock.advance(50);
      assertEquals(await t.settle(lease, { kind: "dead", failure: FAILURE }), "settled");
      const now = t.clock.held;
      assertEquals(await t.job(job.id), {
        ...job,
        state: "failed",
        failure: FAILURE,
        completedAt: now,
        updatedAt: now,
      });
      assertEquals(await t.store.deadLetters.get(withPrefix("dlq", job.id)), {
        id: withPrefix("dlq", job.id),
        jobId: job.id,
        jobName: "resize",
        queue: "images",
        payload: '{"file":"ü.png"}',
        priority: 4,
        timeoutMs: 5000,
        maxRetries: 2,
        retryCount: 0,
        uniqueKey: "k",
        tags: ["t1", "t2"],
        scope: { appId: "app", orgId: "org" },
        failure: FAILURE,
        failedAt: now,
        replayedAt: null,
        createdAt: now,
      });
    },
  },
  {
    name: "only dead writes a letter",
    async run(t) {
      for (const outcome of OUTCOMES.filter(({ kind }) => kind !== "dead")) {
        const { lease } = await t.running();
        await t.settle(lease, outcome);
        assertEquals(await t.store.deadLetters.count({}), 0, outcome.kind);
        await t.store.jobs.remove(lease.jobId);
      }
    },
  },
  {
    name: "cancel ends the job and keeps the reason",
    async run(t) {
      const { job, lease } = await t.running();
      await t.clock.advance(50);
      await t.settle(lease, { kind: "cancel", reason: "paid meanwhile" });
      const now = t.clock.held;
      assertEquals(await t.job(job.id), {
        ...job,
        state: "cancelled",
        failure: { code: "cancelled", message: "paid meanwhile" },
        completedAt: now,
        updatedAt: now,
      });
    },
  },
  {
    name: "where cancellation was asked for, every outcome but complete ends the job as cancelled",
    async run(t) {
      for (const outcome of OUTCOMES) {
        const { job, lease } = await t.running();
        await t.store.jobs.cancel(job.id);
        const asAsked = outcome.kind === "complete" || outcome.kind === "cancel";
        const status = await t.settle(lease, outcome);
        assertEquals(status, asAsked ? "settled" : "cancelled", outcome.kind);
        const ended = await t.job(job.id);
        const expected = outcome.kind === "complete" ? "completed" : "cancelled";
        assertEquals(ended.state, expected, outcome.kind);
        assertEquals(ended.completedAt, t.clock.held, outcome.kind);
        assertEquals(ended.cancelRequested, false, "the request is dealt with");
      }
      assertEquals(await t.store.deadLetters.count({}), 0);
    },
  },
  {
    name: "settle() of many different outcomes writes each, and answers in their order",
    async run(t) {
      await t.enqueueMany(OUTCOMES.length * 2);
      const claimed = await t.claim();
      const settlements = claimed.map(({ lease }, i) => ({
        lease,
        outcome: OUTCOMES[(i * 3) % OUTCOMES.length],
      }));
      const statuses = await t.store.jobs.settle(settlements);
      assertEquals(statuses, settlements.map(() => "settled"));
      const states: Record<JobOutcome["kind"], string> = {
        complete: "completed",
        retry: "retrying",
        release: "pending",
        dead: "failed",
        cancel: "cancelled",
      };
      for (const { lease, outcome } of settlements) {
        assertEquals((await t.job(lease.jobId)).state, states[outcome.kind]);
      }
      assertEquals(await t.store.deadLetters.count({}), 2);
    },
  },
  {
    name: "the same lease twice in one call: the first outcome counts, the second is lost",
    async run(t) {
      for (const [first, second] of [[OUTCOMES[0], OUTCOMES[3]], [OUTCOMES[1], OUTCOMES[0]]]) {
        const { lease } = await t.running();
        const twice = [first, second].map((outcome) => ({ lease, outcome }));
        assertEquals(await t.store.jobs.settle(twice), ["settled", "lost"]);
        const { state } = await t.job(lease.jobId);
        assertEquals(state, first.kind === "complete" ? "completed" : "retrying");
        await t.store.jobs.remove(lease.jobId);
      }
      assertEquals(await t.store.deadLetters.count({}), 0);
    },
  },
  {
    name: "settle() of nothing changes nothing",
    async run(t) {
      await t.running();
      const before = await t.snapshot();
      assertEquals(await t.store.jobs.settle([]), []);
      assertEquals(await t.snapshot(), before);
    },
  },
];
