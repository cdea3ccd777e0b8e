import { assertEquals } from "@std/assert";
import type { Lease } from "../../core/lease.ts";
import type { ClaimedJob } from "../../core/lease.ts";
import { type CaseContext, DONE, FAILURE, LEASE_MS, range, type StoreCase } from "./context.ts";
import { newRun, parked, partsOf, running, save, step, steps, wait } from "./run_context.ts";

/** Ways in which a run's worker loses its lease. */
const WAYS_TO_LOSE: readonly {
  how: string;
  take(t: CaseContext, claimed: ClaimedJob): Promise<unknown>;
}[] = [
  { how: "has completed", take: (t, { lease }) => t.settle(lease, DONE) },
  { how: "was parked", take: (t, { lease }) => t.settle(lease, parked()) },
  {
    how: "was released and claimed again",
    async take(t, { job, lease }) {
      await t.settle(lease, { kind: "release", delayMs: 0 });
      await t.claimOnly(job.id);
    },
  },
  {
    how: "is to undo its steps",
    take: (t, { lease }) => t.settle(lease, { kind: "compensate", cause: FAILURE }),
  },
  { how: "was rescued", take: (t) => t.expireAndRescue() },
  {
    how: "was rescued and claimed by the same worker",
    async take(t, { job }) {
      await t.expireAndRescue();
      await t.claimOnly(job.id);
    },
  },
];

const WRITES: readonly { what: string; write(t: CaseContext, lease: Lease): Promise<unknown> }[] = [
  { what: "save() of a result", write: (t, lease) => save(t, step(lease)) },
  {
    what: "save() of a failure",
    write: (t, lease) => save(t, step(lease, { state: "failed", failure: FAILURE })),
  },
  {
    what: "save() of a step that is tried again",
    write: (t, lease) => save(t, step(lease, { state: "open", delayMs: 5, failure: FAILURE })),
  },
  {
    what: "save() of a child",
    write: (t, lease) => save(t, step(lease, { kind: "child", state: "open", child: newRun() })),
  },
  { what: "wait()", write: async (t, lease) => await wait(t, lease) ?? "lost" },
  { what: "settle(park)", write: (t, lease) => t.settle(lease, parked()) },
  {
    what: "settle(compensate)",
    write: (t, lease) => t.settle(lease, { kind: "compensate", cause: FAILURE }),
  },
];

export const stepCases: readonly StoreCase[] = [
  ...WAYS_TO_LOSE.map(({ how, take }): StoreCase => ({
    name: `no step is written under a lease whose run ${how}`,
    part: "workflows",
    async run(t) {
      const claimed = await running(t);
      await save(t, step(claimed.lease, { position: 5, name: "kept" }));
      await take(t, claimed);
      const before = [await t.snapshot(), await steps(t, claimed.job.id)];
      for (const { what, write } of WRITES) {
        assertEquals(await write(t, claimed.lease), "lost", what);
        assertEquals([await t.snapshot(), await steps(t, claimed.job.id)], before, what);
      }
    },
  })),
  {
    name: "a step is remembered with everything that is told of it",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      await t.clock.advance(500);
      await save(t, step(lease, { elapsedMs: 200, attempt: 2 }));
      const now = t.clock.held;
      assertEquals(await steps(t, job.id), [{
        position: 0,
        name: "charge",
        kind: "run",
        state: "completed",
        attempt: 2,
        result: '{"paid":true}',
        failure: null,
        events: [],
        key: null,
        eventId: null,
        childId: null,
        until: null,
        leftMs: null,
        seq: 1,
        startedAt: now - 200,
        endedAt: now,
      }]);
    },
  },
  {
    name: "the first write that ends a step stands",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      await save(t, step(lease, { result: "1" }));
      assertEquals(await save(t, step(lease, { result: "2" })), "kept");
      assertEquals(await save(t, step(lease, { state: "failed", failure: FAILURE })), "kept");
      assertEquals(await save(t, step(lease, { state: "open", delayMs: 1 })), "kept");
      assertEquals((await steps(t, job.id))[0].result, "1");
    },
  },
  {
    name: "a step that is tried again keeps when it began, and ends once",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      const begun = t.clock.held;
      await save(t, step(lease, { state: "open", delayMs: 1000, failure: FAILURE }));
      const [open] = await steps(t, job.id);
      assertEquals([open.state, open.until, open.leftMs], ["open", begun + 1000, 1000]);
      await t.clock.advance(400);
      assertEquals((await steps(t, job.id))[0].leftMs, 600);
      await t.clock.advance(1000);
      assertEquals(await save(t, step(lease, { attempt: 2 })), "saved");
      const [ended] = await steps(t, job.id);
      assertEquals([ended.state, ended.attempt, ended.startedAt], ["completed", 2, begun]);
      assertEquals([ended.until, ended.failure, ended.seq], [null, null, 1]);
    },
  },
  {
    name: "steps of many runs are saved at once, and a lost lease spoils none of the others",
    part: "workflows",
    async run(t) {
      const jobs = await t.store.jobs.enqueue(range(3).map(() => newRun()));
      const claimed = await t.claim({ names: ["workflow/order@1"] });
      await t.settle(claimed[1].lease, DONE);
      const writes = claimed.flatMap(({ lease }) => [
        step(lease, { position: 0 }),
        step(lease, { position: 1, name: "ship" }),
      ]);
      const { runs } = partsOf(t.store);
      const statuses = ["saved", "saved", "lost", "lost", "saved", "saved"];
      assertEquals(await runs.save(writes), statuses);
      const names = await Promise.all(
        jobs.map(async ({ id }) => (await steps(t, id)).map(({ name }) => name)),
      );
      assertEquals(names, [["charge", "ship"], [], ["charge", "ship"]]);
    },
  },
  {
    name: "checkpoints are read in pages, in the order of their positions",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      const { runs } = partsOf(t.store);
      const order = range(25).map((i) => (i * 7) % 25);
      await runs.save(order.map((position) => step(lease, { position, name: `s${position}` })));
      const read: number[] = [];
      for (let after: number | null = null;;) {
        const query = { jobId: job.id, after, limit: 10, pending: false };
        const [page] = await runs.checkpoints([query]);
        read.push(...page.map(({ position }) => position));
        if (page.length < 10) break;
        after = page[9].position;
      }
      assertEquals(read, range(25));
    },
  },
  {
    name: "a claimed run goes on with its first checkpoints, and knows what it is to undo",
    part: "workflows",
    async run(t) {
      const { runs } = partsOf(t.store);
      const [fresh, far, failed] = [await running(t), await running(t), await running(t)];
      await runs.save(
        range(3).map((position) => step(far.lease, { position, name: `s${position}` })),
      );
      await save(t, step(failed.lease));
      await t.settle(failed.lease, { kind: "compensate", cause: FAILURE });
      await t.claimOnly(failed.job.id);
      const rests = await runs.resume([failed, fresh, far].map(({ job }) => job.id), 2);
      assertEquals(
        rests.map(({ compensating, cause, checkpoints }) => ({
          compensating,
          cause,
          names: checkpoints.map(({ name }) => name),
        })),
        [
          { compensating: true, cause: FAILURE, names: ["charge"] },
          { compensating: false, cause: null, names: [] },
          { compensating: false, cause: null, names: ["s0", "s1"] },
        ],
      );
      for (const [i, { job }] of [failed, fresh, far].entries()) {
        assertEquals(rests[i].since ?? job.createdAt, job.createdAt);
      }
    },
  },
  {
    name: "what the code was given is no longer pending",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      const { runs } = partsOf(t.store);
      await runs.save([step(lease)]);
      await wait(t, lease, { position: 1, kind: "sleep", name: "nap", events: [], delayMs: 0 });
      await wait(t, lease, { position: 2 });
      const pending = async () => {
        const query = { jobId: job.id, after: null, limit: 10, pending: true };
        return (await runs.checkpoints([query]))[0].map(({ position }) => position);
      };
      assertEquals(await pending(), [1, 2]);
      await save(t, step(lease, { position: 3, seq: 3, accepted: [{ position: 1, seq: 2 }] }));
      assertEquals(await pending(), [2]);
      assertEquals((await steps(t, job.id)).map(({ seq }) => seq), [1, 2, null, 3]);
    },
  },
  {
    name: "what is remembered goes with the run",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      await save(t, step(lease));
      await t.settle(lease, DONE);
      await t.clock.advance(10);
      await t.store.jobs.prune({ completed: 5, failed: null, cancelled: null }, 10);
      assertEquals(await steps(t, job.id), []);
      assertEquals(await partsOf(t.store).runs.get([job.id]), [null]);
    },
  },
  {
    name: "what is remembered survives a crash and is there for the next worker",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      await save(t, step(lease));
      await t.clock.advance(LEASE_MS + 1);
      const peer = await t.peer();
      await peer.jobs.rescue(10);
      assertEquals((await steps(t, job.id, peer)).length, 1);
    },
  },
];
