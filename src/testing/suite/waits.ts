import { assertEquals } from "@std/assert";
import { newId } from "../../core/id.ts";
import { NEVER } from "../../core/run.ts";
import { assertRefused, type CaseContext, DONE, range, type StoreCase } from "./context.ts";
import {
  newEvent,
  newRun,
  ORDER,
  parked,
  partsOf,
  publish,
  readRun,
  running,
  steps,
  wait,
  waiting,
} from "./run_context.ts";

const GIVEN = '{"name":"paid","payload":{"amount":5}}';

/** Asserts that the run is ready and that its step has the event. */
async function assertWoken(t: CaseContext, jobId: string): Promise<void> {
  const [checkpoint] = await steps(t, jobId);
  assertEquals([checkpoint.state, checkpoint.result], ["completed", GIVEN]);
  await t.claimOnly(jobId);
}

/** Where among the moves of a run an event may come. */
const MOMENTS: readonly { when: string; play(t: CaseContext, send: Send): Promise<string> }[] = [
  {
    when: "before the run waits",
    async play(t, send) {
      const { job, lease } = await running(t);
      await send(job.id);
      const given = await wait(t, lease);
      assertEquals([given?.state, given?.result], ["completed", GIVEN]);
      await t.settle(lease, parked());
      return job.id;
    },
  },
  {
    when: "between the wait and the park",
    async play(t, send) {
      const { job, lease } = await running(t);
      assertEquals((await wait(t, lease))?.state, "open");
      await send(job.id);
      await t.settle(lease, parked());
      return job.id;
    },
  },
  {
    when: "after the run has parked",
    async play(t, send) {
      const { job, lease } = await running(t);
      await wait(t, lease);
      await t.settle(lease, parked());
      assertEquals((await t.job(job.id)).runAt, NEVER);
      await send(job.id);
      return job.id;
    },
  },
  {
    when: "at the same time as the wait",
    async play(t, send) {
      const { job, lease } = await running(t);
      await Promise.all([wait(t, lease), send(job.id)]);
      await t.settle(lease, parked());
      return job.id;
    },
  },
  {
    when: "at the same time as the park",
    async play(t, send) {
      const { job, lease } = await running(t);
      await wait(t, lease);
      await Promise.all([t.settle(lease, parked()), send(job.id)]);
      return job.id;
    },
  },
];

type Send = (jobId: string) => Promise<unknown>;

const KINDS: readonly { what: string; send(t: CaseContext): Promise<Send> }[] = [
  {
    what: "an event for the run",
    send: async (t) => {
      const peer = await t.peer();
      return (jobId) => publish(t, { jobId }, peer);
    },
  },
  {
    what: "an event for all",
    send: async (t) => {
      const peer = await t.peer();
      return () => publish(t, {}, peer);
    },
  },
];

export const waitCases: readonly StoreCase[] = [
  ...KINDS.flatMap(({ what, send }) =>
    MOMENTS.map(({ when, play }): StoreCase => ({
      name: `${what} that comes ${when} is delivered`,
      part: "workflows",
      async run(t) {
        await assertWoken(t, await play(t, await send(t)));
      },
    }))
  ),
  {
    name: "an event is given to a run once, to each of several waits another",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      for (const position of range(3)) await wait(t, lease, { position, name: `paid${position}` });
      for (const n of range(2)) await publish(t, { jobId: job.id, payload: String(n) });
      const found = (await steps(t, job.id)).map(({ state, result }) => [state, result]);
      assertEquals(found, [
        ["completed", '{"name":"paid","payload":0}'],
        ["completed", '{"name":"paid","payload":1}'],
        ["open", null],
      ]);
      await publish(t, { payload: "2" });
      await publish(t, { payload: "3" });
      const late = await wait(t, lease, { position: 3, name: "late" });
      assertEquals(late?.result, '{"name":"paid","payload":3}');
      assertEquals((await wait(t, lease, { position: 4, name: "later" }))?.state, "open");
    },
  },
  {
    name: "an event for all is given to every run that waits, also to one that waits later",
    part: "workflows",
    async run(t) {
      const jobs = await t.store.jobs.enqueue(range(3).map(() => newRun()));
      const claimed = await t.claim({ names: [ORDER] });
      for (const { lease } of claimed.slice(0, 2)) await wait(t, lease);
      assertEquals((await publish(t)).delivered, 2);
      assertEquals((await wait(t, claimed[2].lease))?.result, GIVEN);
      for (const { id } of jobs) assertEquals((await steps(t, id))[0].state, "completed");
    },
  },
  {
    name:
      "an event with a key is for those alone that wait for the key, also when they start later",
    part: "workflows",
    async run(t) {
      await publish(t, { key: "17" });
      await t.clock.advance(5);
      const { lease } = await running(t);
      assertEquals((await wait(t, lease, { position: 0, key: "18" }))?.state, "open");
      assertEquals((await wait(t, lease, { position: 1 }))?.state, "open");
      assertEquals((await wait(t, lease, { position: 2, key: "17" }))?.result, GIVEN);
    },
  },
  {
    name: "an event without a key is not for runs that start later",
    part: "workflows",
    async run(t) {
      await publish(t);
      await t.clock.advance(5);
      const { lease } = await running(t);
      assertEquals((await wait(t, lease))?.state, "open");
    },
  },
  {
    name: "a wait for several names ends with the first of them",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      await wait(t, lease, { events: ["paid", "refused"] });
      await publish(t, { jobId: job.id, name: "refused", payload: "1" });
      const [checkpoint] = await steps(t, job.id);
      assertEquals(checkpoint.result, '{"name":"refused","payload":1}');
      assertEquals((await publish(t)).delivered, 0);
    },
  },
  {
    name: "a wait ends without an event at the moment that its first call has set",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      const until = t.clock.held + 60_000;
      const open = await wait(t, lease, { delayMs: 60_000 });
      assertEquals([open?.state, open?.until, open?.leftMs], ["open", until, 60_000]);
      await t.settle(lease, parked({ timed: [0] }));
      assertEquals((await t.job(job.id)).runAt, until);
      await t.clock.advance(60_000);
      const again = await t.claimOnly(job.id);
      const ended = await wait(t, again.lease, { delayMs: 60_000 });
      assertEquals([ended?.state, ended?.result, ended?.eventId], ["completed", "null", null]);
      assertEquals((await publish(t, { jobId: job.id })).delivered, 0);
      assertEquals((await steps(t, job.id))[0].result, "null");
    },
  },
  {
    name: "a parked run is due at the earliest of its open steps and its deadline",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      const now = t.clock.held;
      const nap = { kind: "sleep", events: [] } as const;
      await wait(t, lease, { position: 0, ...nap, name: "long", delayMs: 9000 });
      await wait(t, lease, { position: 1, ...nap, name: "short", until: now + 5000 });
      await wait(t, lease, { position: 2, ...nap, name: "of nobody", delayMs: 10 });
      await t.settle(lease, parked({ timed: [0, 1], deadline: now + 90_000 }));
      assertEquals((await t.job(job.id)).runAt, now + 5000);
      await t.clock.advance(5000);
      const again = await t.claimOnly(job.id);
      await t.settle(again.lease, parked({ timed: [0], deadline: now + 7000 }));
      const { state, runAt, attempt } = await t.job(job.id);
      assertEquals([state, runAt, attempt], ["pending", now + 7000, 0]);
    },
  },
  {
    name: "what has ended and was given to the code does not wake a run that parks",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      await publish(t, { jobId: job.id });
      await wait(t, lease);
      await wait(t, lease, { position: 1, name: "more" });
      await t.settle(lease, parked({ accepted: [{ position: 0, seq: 1 }] }));
      assertEquals((await t.job(job.id)).runAt, NEVER);
      assertEquals((await readRun(t, job.id)).open.map(({ name }) => name), ["more"]);
    },
  },
  {
    name: "an idempotency key has an event taken once",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      const { events } = partsOf(t.store);
      const twice = range(2).map(() => newEvent({ jobId: job.id, idempotencyKey: "k" }));
      const [first, second] = await events.publish(twice);
      assertEquals(second.id, first.id);
      const third = await publish(t, { jobId: job.id, idempotencyKey: "k" });
      assertEquals(third.id, first.id);
      assertEquals((await wait(t, lease))?.state, "completed");
      assertEquals((await wait(t, lease, { position: 1 }))?.state, "open");
      const other = await publish(t, { jobId: job.id, name: "other", idempotencyKey: "k" });
      assertEquals(other.id === first.id, false);
    },
  },
  {
    name: "an event for an unknown run or one that has ended is refused",
    part: "workflows",
    async run(t) {
      await assertRefused("not_found", () => publish(t, { jobId: newId("job") }));
      const { job, lease } = await running(t);
      await wait(t, lease);
      await t.settle(lease, DONE);
      await assertRefused("wrong_state", () => publish(t, { jobId: job.id }));
    },
  },
  {
    name: "events are kept for as long as asked, those for a run until it has ended",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      const { events } = partsOf(t.store);
      await publish(t, { key: "k" });
      await publish(t, { jobId: job.id });
      await t.clock.advance(1000);
      assertEquals(await events.prune(1000, 10), 0, "just as long is not longer");
      await t.clock.advance(1);
      assertEquals(await events.prune(1000, 10), 1);
      assertEquals((await wait(t, lease, { key: "k" }))?.result, GIVEN, "of the run alone");
      assertEquals((await wait(t, lease, { position: 1, key: "k" }))?.state, "open");
      await t.settle(lease, DONE);
      assertEquals(await events.prune(1000, 10), 1);
    },
  },
  {
    name: "waits of many runs are begun at once",
    part: "workflows",
    async run(t) {
      await t.store.jobs.enqueue(range(4).map(() => newRun()));
      const claimed = await t.claim({ names: [ORDER] });
      await t.settle(claimed[1].lease, DONE);
      await publish(t);
      const { runs } = partsOf(t.store);
      const found = await runs.wait(
        claimed.map(({ lease }, i) => waiting(lease, { events: [i === 3 ? "other" : "paid"] })),
      );
      const states = found.map((checkpoint) => checkpoint?.state ?? null);
      assertEquals(states, ["completed", null, "completed", "open"]);
    },
  },
];
