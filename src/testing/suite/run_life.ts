import { assertEquals, assertNotEquals } from "@std/assert";
import { newId, withPrefix } from "../../core/id.ts";
import type { Failure } from "../../core/outcome.ts";
import { noRuns } from "../../core/run.ts";
import { runStateOf } from "../../core/run_view.ts";
import { assertRefused, DONE, FAILURE, range, readPages, type StoreCase } from "./context.ts";
import {
  newRun,
  parked,
  partsOf,
  publish,
  readRun,
  running,
  save,
  startChild,
  step,
  steps,
  wait,
} from "./run_context.ts";

const STUCK: Failure = { code: "compensation_failed", message: "Cannot undo charge" };

export const runLifeCases: readonly StoreCase[] = [
  {
    name: "the versions of a workflow share their unique keys, other workflows and jobs do not",
    part: "workflows",
    async run(t) {
      const started = (name: string) =>
        t.store.jobs.enqueue([newRun({ name, uniqueKey: "7" })]).then(([job]) => job.id);
      const first = await started("workflow/order@1");
      assertEquals(await started("workflow/order@2"), first);
      const others = ["workflow/order@x@1", "workflow/order2@1", "order@1", "order@2"];
      const ids = await Promise.all(others.map(started));
      assertEquals(new Set([first, ...ids]).size, others.length + 1);
      const { lease } = await t.claimOnly(first);
      assertEquals(await started("workflow/order@2"), first, "while it runs");
      await t.settle(lease, { kind: "dead", failure: FAILURE });
      const second = await started("workflow/order@2");
      assertNotEquals(second, first);
      await assertRefused("unique_conflict", () => t.store.jobs.retry(first));
      await assertRefused("unique_conflict", () => partsOf(t.store).runs.rewind(first, 0));
    },
  },
  {
    name: "a run that is to undo its steps is ready at once, and compensating until it ends",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      await save(t, step(lease));
      assertEquals(await t.settle(lease, { kind: "compensate", cause: FAILURE }), "settled");
      const run = await readRun(t, job.id);
      assertEquals([runStateOf(run), run.cause], ["compensating", FAILURE]);
      const again = await t.claimOnly(job.id);
      await save(t, step(again.lease, { position: -1, kind: "compensate", seq: 0 }));
      await t.settle(again.lease, { kind: "dead", failure: FAILURE });
      assertEquals(runStateOf(await readRun(t, job.id)), "failed");
      assertEquals(await t.store.deadLetters.count({}), 1);
      assertEquals((await steps(t, job.id)).map(({ position }) => position), [-1, 0]);
    },
  },
  {
    name: "a run that waits is cancelled after it has undone its steps, where that is asked for",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      await wait(t, lease);
      await t.settle(lease, parked());
      const run = await partsOf(t.store).runs.compensate(job.id);
      assertEquals([runStateOf(run), run.cause], ["compensating", null]);
      await assertRefused("wrong_state", () => t.store.jobs.cancel(job.id));
      const again = await t.claimOnly(job.id);
      assertEquals(await t.extend(again.lease), "held");
      assertEquals(await t.settle(again.lease, { kind: "cancel", reason: "undone" }), "settled");
      assertEquals(runStateOf(await readRun(t, job.id)), "cancelled");
      const { runs } = partsOf(t.store);
      await assertRefused("wrong_state", () => runs.compensate(job.id));
      await assertRefused("not_found", () => runs.compensate(newId("job")));
    },
  },
  {
    name: "a run that executes is interrupted, and then undoes its steps",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      await partsOf(t.store).runs.compensate(job.id);
      assertEquals(await t.extend(lease), "cancelling");
      assertEquals(await t.settle(lease, { kind: "cancel", reason: "asked" }), "compensating");
      const again = await t.claimOnly(job.id);
      assertEquals(await t.extend(again.lease), "held");
      await t.settle(again.lease, { kind: "cancel", reason: "undone" });
      assertEquals((await t.job(job.id)).state, "cancelled");
    },
  },
  {
    name: "a run that is interrupted by a crash undoes its steps all the same",
    part: "workflows",
    async run(t) {
      const { job } = await running(t);
      await partsOf(t.store).runs.compensate(job.id);
      const [rescued] = await t.expireAndRescue();
      assertEquals([rescued.state, rescued.cancelRequested], ["pending", false]);
      assertEquals(runStateOf(await readRun(t, job.id)), "compensating");
    },
  },
  {
    name: "a run that is retried forgets the failure that ended its attempt, and what it led to",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      await save(t, step(lease, { name: "kept" }));
      await save(t, step(lease, { position: 1, name: "no", state: "failed", failure: FAILURE }));
      await save(t, step(lease, { position: 2, name: "beside" }));
      await save(t, step(lease, { position: 3, name: "after" }));
      const rewind = { step: 1, from: 3 };
      await t.settle(lease, { kind: "retry", failure: FAILURE, delayMs: 0, rewind });
      assertEquals((await steps(t, job.id)).map(({ name }) => name), ["kept", "beside"]);
      assertEquals((await t.job(job.id)).retryCount, 1);
    },
  },
  {
    name: "retry() of a failed run goes on behind what has completed",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      await save(t, step(lease, { name: "kept" }));
      await save(t, step(lease, { position: 1, name: "no", state: "failed", failure: FAILURE }));
      await t.settle(lease, { kind: "dead", failure: FAILURE, rewind: { step: 1, from: 2 } });
      assertEquals((await steps(t, job.id)).length, 2, "they tell why it failed");
      await t.clock.advance(10);
      const retried = await t.store.jobs.retry(job.id);
      assertEquals([retried.state, retried.failure], ["pending", null]);
      assertEquals((await steps(t, job.id)).map(({ name }) => name), ["kept"]);
      assertEquals((await readRun(t, job.id)).since, t.clock.held);
      const letter = await t.store.deadLetters.get(withPrefix("dlq", job.id));
      assertEquals(letter?.replayedAt, t.clock.held);
    },
  },
  {
    name: "retry() of a run whose compensation failed goes on with that",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      await save(t, step(lease));
      await save(t, step(lease, { position: 1, name: "ship" }));
      await t.settle(lease, { kind: "compensate", cause: FAILURE });
      const again = await t.claimOnly(job.id);
      const undo = { kind: "compensate", seq: 0 } as const;
      await save(t, step(again.lease, { ...undo, position: -2, name: "ship" }));
      const failed = { ...undo, state: "failed", failure: STUCK } as const;
      await save(t, step(again.lease, { ...failed, position: -1 }));
      await t.settle(again.lease, { kind: "dead", failure: STUCK });
      await t.store.jobs.retry(job.id);
      assertEquals(runStateOf(await readRun(t, job.id)), "compensating");
      assertEquals((await steps(t, job.id)).map(({ position }) => position), [-2, 0, 1]);
    },
  },
  {
    name: "retry() of a run that has undone its steps starts afresh",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      await save(t, step(lease));
      await t.settle(lease, { kind: "compensate", cause: FAILURE });
      await t.settle((await t.claimOnly(job.id)).lease, { kind: "dead", failure: FAILURE });
      await t.store.jobs.retry(job.id);
      assertEquals(runStateOf(await readRun(t, job.id)), "running");
      assertEquals(await steps(t, job.id), []);
    },
  },
  {
    name: "rewind() keeps what was called before, and has the run go on",
    part: "workflows",
    async run(t) {
      const { runs } = partsOf(t.store);
      const { job, lease } = await running(t);
      for (const position of range(4)) {
        await save(t, step(lease, { position, name: `s${position}` }));
      }
      await assertRefused("wrong_state", () => runs.rewind(job.id, 2));
      await assertRefused("not_found", () => runs.rewind(newId("job"), 2));
      await t.settle(lease, DONE);
      const run = await runs.rewind(job.id, 2);
      assertEquals([run.job.state, run.job.result, run.job.completedAt], ["pending", null, null]);
      assertEquals((await steps(t, job.id)).map(({ name }) => name), ["s0", "s1"]);
      await t.settle((await t.claimOnly(job.id)).lease, DONE);
      assertEquals((await t.store.jobs.counts()).completed, 1);
    },
  },
  {
    name: "rewind() gives events back, and cancels children that are waited for",
    part: "workflows",
    async run(t) {
      const { runs } = partsOf(t.store);
      const { job, lease } = await running(t);
      await publish(t, { jobId: job.id });
      await wait(t, lease);
      const child = await startChild(t, lease, { position: 1 });
      await t.settle(lease, parked({ accepted: [{ position: 0, seq: 1 }] }));
      await runs.rewind(job.id, 0);
      assertEquals((await t.job(child.id)).state, "cancelled");
      assertEquals(await steps(t, job.id), []);
      const again = await t.claimOnly(job.id);
      assertEquals((await wait(t, again.lease))?.state, "completed");
    },
  },
  {
    name: "runs are listed, the newest first, by state, workflow and parent",
    part: "workflows",
    async run(t) {
      const { runs } = partsOf(t.store);
      await t.enqueue(); // a job is no run
      const first = await running(t, { name: "workflow/order@1" });
      await t.settle(first.lease, DONE);
      const second = await running(t, { name: "workflow/order@2" });
      await t.settle(second.lease, { kind: "compensate", cause: FAILURE });
      const [other] = await t.store.jobs.enqueue([newRun({ name: "workflow/ship@1" })]);
      const list = async (filter: object) => {
        const { items } = await runs.list({ limit: 10, offset: 0, ...filter });
        return items.map((run) => run.job.id);
      };
      assertEquals(await list({}), [other.id, second.job.id, first.job.id]);
      assertEquals(await list({ name: "order" }), [second.job.id, first.job.id]);
      assertEquals(await list({ state: "running" }), [other.id]);
      assertEquals(await list({ state: "compensating" }), [second.job.id]);
      assertEquals(await list({ state: "completed", name: "order" }), [first.job.id]);
      assertEquals(await list({ parentId: first.job.id }), []);
      assertEquals(await runs.counts(), {
        ...noRuns(),
        running: 1,
        compensating: 1,
        completed: 1,
      });
      assertEquals(await runs.get([(await t.enqueue()).id, newId("job")]), [null, null]);
    },
  },
  {
    name: "runs are listed page by page",
    part: "workflows",
    async run(t) {
      const { runs } = partsOf(t.store);
      const jobs = await t.store.jobs.enqueue(range(7).map(() => newRun()));
      const pages = await readPages((cursor) => runs.list({ limit: 3, offset: 0, cursor }));
      assertEquals(pages.map((page) => page.length), [3, 3, 1]);
      assertEquals(
        pages.flat().map((run) => run.job.id),
        jobs.map(({ id }) => id).reverse(),
      );
    },
  },
  {
    name: "runs that are due and of a version that nobody serves are counted",
    part: "workflows",
    async run(t) {
      const { runs } = partsOf(t.store);
      await t.enqueue();
      await t.store.jobs.enqueue([
        newRun(),
        newRun({ name: "workflow/order@2" }),
        newRun({ name: "workflow/order@2" }),
        newRun({ name: "workflow/order@3", delayMs: 60_000 }),
      ]);
      const look = () => runs.unserved(["mail", "workflow/order@1"], 30_000);
      assertEquals(await look(), []);
      await t.clock.advance(30_001);
      assertEquals(await look(), [{ jobName: "workflow/order@2", runs: 2 }]);
    },
  },
];
