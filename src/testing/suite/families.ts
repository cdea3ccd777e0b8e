import { assertEquals } from "@std/assert";
import { newId } from "../../core/id.ts";
import type { JobRecord } from "../../core/job.ts";
import { NEVER } from "../../core/run.ts";
import {
  assertRefused,
  type CaseContext,
  DONE,
  FAILURE,
  ids,
  LEASE_MS,
  type StoreCase,
} from "./context.ts";
import {
  FINAL_OUTCOMES,
  newRun,
  parked,
  partsOf,
  readRun,
  running,
  save,
  startChild,
  step,
  steps,
} from "./run_context.ts";

/** Every way in which a child can end, with what its parent is told. */
const ENDS: readonly {
  how: string;
  end(t: CaseContext, child: JobRecord): Promise<unknown>;
  told: readonly unknown[];
}[] = [
  {
    how: "completes",
    end: async (t, { id }) => t.settle((await t.claimOnly(id)).lease, FINAL_OUTCOMES[0]),
    told: ["completed", '{"label":1}', null],
  },
  {
    how: "fails for good",
    end: async (t, { id }) => t.settle((await t.claimOnly(id)).lease, FINAL_OUTCOMES[1]),
    told: ["failed", null, "no paper"],
  },
  {
    how: "ends itself as cancelled",
    end: async (t, { id }) => t.settle((await t.claimOnly(id)).lease, FINAL_OUTCOMES[2]),
    told: ["failed", null, "not wanted"],
  },
  {
    how: "is cancelled while it waits",
    end: (t, { id }) => t.store.jobs.cancel(id),
    told: ["failed", null, "The run was cancelled"],
  },
  {
    how: "is cancelled while it runs",
    async end(t, { id }) {
      const { lease } = await t.claimOnly(id);
      await t.store.jobs.cancel(id);
      await t.settle(lease, { kind: "release", delayMs: 0 });
    },
    told: ["failed", null, "The run was cancelled"],
  },
  {
    how: "was to be cancelled and is rescued",
    async end(t, { id }) {
      await t.claimOnly(id);
      await t.store.jobs.cancel(id);
      await t.expireAndRescue();
    },
    told: ["failed", null, "The run was cancelled"],
  },
  {
    how: "dies of a crash loop",
    async end(t, { id }) {
      for (let crash = 0; crash < 3; crash++) {
        await t.claimOnly(id);
        await t.expireAndRescue();
      }
    },
    told: ["failed", null, "The job's worker died or hung 3 times while it ran"],
  },
  {
    how: "fails for good after it has undone its steps",
    async end(t, { id }) {
      const { lease } = await t.claimOnly(id);
      await t.settle(lease, { kind: "compensate", cause: FAILURE });
      await t.settle((await t.claimOnly(id)).lease, { kind: "dead", failure: FAILURE });
    },
    told: ["failed", null, FAILURE.message],
  },
  {
    how: "completes and is pruned",
    async end(t, { id }) {
      await t.settle((await t.claimOnly(id)).lease, FINAL_OUTCOMES[0]);
      await t.clock.advance(10);
      await t.store.jobs.prune({ completed: 5, failed: 5, cancelled: 5 }, 10);
    },
    told: ["completed", '{"label":1}', null],
  },
];

export const familyCases: readonly StoreCase[] = [
  ...ENDS.flatMap(({ how, end, told }): StoreCase[] => [
    {
      name: `a parked parent is told and woken when its child ${how}`,
      part: "workflows",
      async run(t) {
        const parent = await running(t);
        const child = await startChild(t, parent.lease);
        await t.settle(parent.lease, parked());
        assertEquals((await t.job(parent.job.id)).runAt, NEVER);
        await end(t, child);
        const [{ state, result, failure, endedAt }] = await steps(t, parent.job.id);
        assertEquals([state, result, failure?.message ?? null], told);
        assertEquals(endedAt !== null, true);
        await t.claimOnly(parent.job.id);
      },
    },
    {
      name: `a parent that parks just then is not left asleep when its child ${how}`,
      part: "workflows",
      async run(t) {
        const parent = await running(t);
        const aside = newRun({ queue: "children" }); // the parent's lease may run out as well
        const child = await startChild(t, parent.lease, { child: aside });
        await end(t, child);
        const again = (await t.job(parent.job.id)).state === "running"
          ? parent
          : await t.claimOnly(parent.job.id); // its own lease has run out meanwhile
        await t.settle(again.lease, parked());
        await t.claimOnly(parent.job.id);
      },
    },
  ]),
  {
    name: "a child is started with the step that remembers it, once",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      const child = await startChild(t, lease);
      assertEquals([child.state, (await readRun(t, child.id)).parentId], ["pending", job.id]);
      // An answer that was lost: the write comes again, with the same child or with another.
      const again = step(lease, { kind: "child", name: "label", state: "open" });
      assertEquals(await save(t, { ...again, child: newRun({ id: child.id }) }), "kept");
      assertEquals(await save(t, { ...again, child: newRun() }), "kept");
      const { items } = await partsOf(t.store).runs.list({
        limit: 10,
        offset: 0,
        parentId: job.id,
      });
      assertEquals(items.map((run) => run.job.id), [child.id]);
      assertEquals((await steps(t, job.id))[0].childId, child.id);
    },
  },
  {
    name: "a child that nobody waits for is linked to its parent and wakes nobody",
    part: "workflows",
    async run(t) {
      const { job, lease } = await running(t);
      const child = newRun();
      await save(t, step(lease, { kind: "spawn", result: `"${child.id}"`, child }));
      await t.settle(lease, parked());
      await t.settle((await t.claimOnly(child.id)).lease, DONE);
      assertEquals((await t.job(job.id)).runAt, NEVER);
      assertEquals((await readRun(t, child.id)).parentId, job.id);
    },
  },
  {
    name: "cancelling a run that waits cancels the whole tree",
    part: "workflows",
    async run(t) {
      const root = await running(t);
      const child = await startChild(t, root.lease);
      const claimed = await t.claimOnly(child.id);
      const waiting = await startChild(t, claimed.lease);
      const executing = await startChild(t, claimed.lease, { position: 1, name: "other" });
      const done = await startChild(t, claimed.lease, { position: 2, name: "done" });
      const [first, second, third] = await t.claim({ names: ["workflow/order@1"] });
      assertEquals(ids([first, second, third]), [waiting.id, executing.id, done.id]);
      await t.settle(first.lease, parked());
      await t.settle(third.lease, DONE);
      await t.settle(claimed.lease, parked());
      const woken = await t.claimOnly(child.id); // one of its children had completed
      await t.settle(woken.lease, parked({ accepted: [{ position: 2, seq: 1 }] }));
      await t.settle(root.lease, parked());
      await t.store.jobs.cancel(root.job.id);
      const states = [root.job, child, waiting, executing, done].map(async ({ id }) => {
        const { state, cancelRequested } = await t.job(id);
        return cancelRequested ? `${state}, to be cancelled` : state;
      });
      assertEquals(await Promise.all(states), [
        "cancelled",
        "cancelled",
        "cancelled",
        "running, to be cancelled",
        "completed",
      ]);
      assertEquals(await t.settle(second.lease, { kind: "release", delayMs: 0 }), "cancelled");
    },
  },
  {
    name: "a run that executes is cancelled with its children when it has let go",
    part: "workflows",
    async run(t) {
      const root = await running(t);
      const child = await startChild(t, root.lease);
      await t.store.jobs.cancel(root.job.id);
      const late = step(root.lease, { position: 1, kind: "child", state: "open", child: newRun() });
      assertEquals(await save(t, late), "lost", "it starts no more children");
      assertEquals(await save(t, step(root.lease, { position: 2 })), "saved");
      assertEquals(await t.settle(root.lease, parked()), "cancelled");
      assertEquals((await t.job(child.id)).state, "cancelled");
    },
  },
  {
    name: "a run that has not ended is not removed",
    part: "workflows",
    async run(t) {
      const [job] = await t.store.jobs.enqueue([newRun()]);
      await assertRefused("wrong_state", () => t.store.jobs.remove(job.id));
      await t.store.jobs.cancel(job.id);
      await t.store.jobs.remove(job.id);
      assertEquals(await partsOf(t.store).runs.get([job.id]), [null]);
    },
  },
  {
    name: "a child whose parent is gone ends all the same",
    part: "workflows",
    async run(t) {
      const root = await running(t);
      const child = await startChild(t, root.lease);
      await t.settle(root.lease, DONE);
      await t.store.jobs.remove(root.job.id);
      assertEquals(await t.settle((await t.claimOnly(child.id)).lease, DONE), "settled");
    },
  },
  {
    name: "a peer's child wakes the parent",
    part: "workflows",
    async run(t) {
      const peer = await t.peer();
      const parent = await running(t);
      const child = await startChild(t, parent.lease);
      await t.settle(parent.lease, parked());
      const [claimed] = await t.claim({ names: [child.name], leaseMs: LEASE_MS }, peer);
      await peer.jobs.settle([{ lease: claimed.lease, outcome: DONE, isRun: true }]);
      assertEquals((await t.claimOnly(parent.job.id)).job.id, parent.job.id);
      await assertRefused("not_found", () => peer.jobs.cancel(newId("job")));
    },
  },
];
