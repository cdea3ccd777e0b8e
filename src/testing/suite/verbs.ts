import { assertEquals } from "@std/assert";
import { newId } from "../../core/id.ts";
import type { JobState } from "../../core/job.ts";
import { assertRefused, type CaseContext, FAILURE, ids, type StoreCase } from "./context.ts";

type Verb = "cancel" | "retry" | "remove";

/** What becomes of a job in each state: its new state, "gone", or a refusal. */
const VERBS: Record<Verb, Record<JobState, JobState | "gone" | "wrong_state">> = {
  cancel: {
    pending: "cancelled",
    retrying: "cancelled",
    running: "running", // marked only
    completed: "wrong_state",
    failed: "wrong_state",
    cancelled: "wrong_state",
  },
  retry: {
    retrying: "pending",
    failed: "pending",
    cancelled: "pending",
    pending: "wrong_state",
    running: "wrong_state",
    completed: "wrong_state",
  },
  remove: {
    pending: "gone",
    retrying: "gone",
    completed: "gone",
    failed: "gone",
    cancelled: "gone",
    running: "wrong_state",
  },
};

function verbCase(verb: Verb, state: JobState): StoreCase {
  const expected = VERBS[verb][state];
  const run = (t: CaseContext, id: string) => t.store.jobs[verb](id);
  if (expected === "wrong_state") {
    return {
      name: `${verb}() of a job that is ${state} is refused and changes nothing`,
      async run(t) {
        const { id } = await t.inState(state);
        const before = await t.snapshot();
        await t.clock.advance(10);
        await assertRefused("wrong_state", () => run(t, id));
        assertEquals(await t.snapshot(), before);
      },
    };
  }
  const result = expected === state ? "is asked of its worker" : `leaves it ${expected}`;
  return {
    name: `${verb}() of a job that is ${state} ${result}`,
    async run(t) {
      const { id } = await t.inState(state);
      await t.clock.advance(10);
      const returned = await run(t, id);
      const [kept] = await t.store.jobs.get([id]);
      if (expected === "gone") {
        assertEquals(kept, null);
        return assertEquals((await t.store.jobs.counts())[state], 0);
      }
      assertEquals(kept?.state, expected);
      assertEquals(kept?.updatedAt, t.clock.held);
      assertEquals(returned, kept, "it returns the job as it is then");
      assertEquals((await t.store.jobs.counts())[expected], 1);
    },
  };
}

const verbs = Object.keys(VERBS) as Verb[];

export const verbCases: readonly StoreCase[] = [
  ...verbs.flatMap((verb) =>
    (Object.keys(VERBS[verb]) as JobState[]).map((state) => verbCase(verb, state))
  ),
  {
    name: "cancel(), retry() and remove() of a job that does not exist are refused",
    async run(t) {
      for (const verb of verbs) {
        await assertRefused("not_found", () => t.store.jobs[verb](newId("job")));
      }
      const { id } = await t.enqueue();
      await t.store.jobs.remove(id);
      for (const verb of verbs) await assertRefused("not_found", () => t.store.jobs[verb](id));
    },
  },
  {
    name: "a waiting job that is cancelled is not claimed, and says when it ended",
    async run(t) {
      const { id } = await t.enqueue();
      await t.clock.advance(10);
      const job = await t.store.jobs.cancel(id);
      assertEquals([job.completedAt, job.attempt], [t.clock.held, 0]);
      assertEquals(await t.claim(), []);
    },
  },
  {
    name: "a running job that is cancelled goes on until its worker learns of it",
    async run(t) {
      const { job, lease } = await t.running();
      assertEquals((await t.store.jobs.cancel(job.id)).cancelRequested, true);
      assertEquals(
        (await t.store.jobs.cancel(job.id)).cancelRequested,
        true,
        "asking twice is fine",
      );
      assertEquals(await t.extend(lease), "cancelling");
      assertEquals(await t.extend(lease), "cancelling", "it holds the lease all the same");
      await t.settle(lease, { kind: "cancel", reason: "asked to" });
      assertEquals((await t.job(job.id)).state, "cancelled");
    },
  },
  {
    name: "retry() gives a job all its retries, and it ends like a new one",
    async run(t) {
      const { job, lease } = await t.running({ maxRetries: 1 });
      await t.settle(lease, { kind: "retry", failure: FAILURE, delayMs: 0 });
      const second = await t.claimOnly(job.id);
      await t.settle(second.lease, { kind: "dead", failure: FAILURE });
      await t.clock.advance(10);
      const retried = await t.store.jobs.retry(job.id);
      assertEquals(
        [retried.state, retried.retryCount, retried.crashes, retried.failure, retried.completedAt],
        ["pending", 0, 0, null, null],
      );
      assertEquals(retried.runAt, t.clock.held);
      const third = await t.claimOnly(job.id);
      await t.settle(third.lease, { kind: "complete", result: "3" });
      const done = await t.job(job.id);
      assertEquals([done.state, done.result, done.completedAt], ["completed", "3", t.clock.held]);
    },
  },
  {
    name: "a cancellation that was asked for does not outlive the attempt",
    async run(t) {
      const { job, lease } = await t.running();
      await t.store.jobs.cancel(job.id);
      await t.settle(lease, { kind: "release", delayMs: 0 });
      await t.store.jobs.retry(job.id);
      const again = await t.claimOnly(job.id);
      assertEquals(again.job.cancelRequested, false);
      assertEquals(await t.extend(again.lease), "held");
    },
  },
  {
    name: "a job that was retried and cancelled many times is claimed once",
    async run(t) {
      const { id } = await t.enqueue();
      for (let round = 0; round < 5; round++) {
        await t.store.jobs.cancel(id);
        await t.store.jobs.retry(id);
      }
      assertEquals(ids(await t.claim()), [id]);
      assertEquals(await t.claim(), []);
    },
  },
  {
    name: "a removed job is gone from lists, counts and claims",
    async run(t) {
      const [first, second] = await t.enqueueMany(2);
      await t.store.jobs.remove(first.id);
      const { items } = await t.store.jobs.list({ limit: 10, offset: 0 });
      assertEquals(ids(items), [second.id]);
      assertEquals((await t.store.jobs.counts()).pending, 1);
      assertEquals(ids(await t.claim()), [second.id]);
    },
  },
];
