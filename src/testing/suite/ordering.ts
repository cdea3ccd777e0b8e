import { assertEquals } from "@std/assert";
import type { JobRecord, NewJob } from "../../core/job.ts";
import { ids, newJob, range, type StoreCase } from "./context.ts";

/** The order of claims within one queue, spelled out. */
function byOrder(a: JobRecord, b: JobRecord): number {
  return b.priority - a.priority || a.runAt - b.runAt || (a.id < b.id ? -1 : 1);
}

/** A fixed order that looks like none (a full cycle, as the step and the count share no factor). */
function shuffled<Item>(items: readonly Item[]): Item[] {
  const step = items.length % 7 === 0 ? 11 : 7;
  return items.map((_, i) => items[(i * step) % items.length]);
}

/** Jobs of several priorities and moments, all due. */
function mixed(now: number, count: number, fields: Partial<NewJob> = {}): NewJob[] {
  return range(count).map((i) =>
    newJob({ priority: i % 4 - 1, runAt: now - (i % 5) * 1000, ...fields })
  );
}

export const orderingCases: readonly StoreCase[] = [
  {
    name: "jobs of the same priority and moment are claimed in the order of their ids",
    async run(t) {
      const jobs = range(20).map(() => newJob());
      await t.store.jobs.enqueue(shuffled(jobs));
      assertEquals(ids(await t.claim()), jobs.map((job) => job.id));
    },
  },
  {
    name: "a higher priority is claimed first, however late it came",
    async run(t) {
      const [low, normal, high] = [-5, 0, 100].map((priority) => newJob({ priority }));
      for (const job of [normal, low, high]) await t.store.jobs.enqueue([job]);
      assertEquals(ids(await t.claim()), [high.id, normal.id, low.id]);
    },
  },
  {
    name: "within a priority the earliest runAt is claimed first",
    async run(t) {
      const now = t.clock.held;
      const [late, early, middle] = [0, -2000, -1000].map((ms) => newJob({ runAt: now + ms }));
      await t.store.jobs.enqueue([late, early, middle]);
      assertEquals(ids(await t.claim()), [early.id, middle.id, late.id]);
    },
  },
  {
    name: "a claim of many jobs returns them in order",
    async run(t) {
      const jobs = await t.store.jobs.enqueue(shuffled(mixed(t.clock.held, 60)));
      assertEquals(ids(await t.claim()), ids(jobs.sort(byOrder)));
    },
  },
  {
    name: "small claims one after another return the same order as a large one",
    async run(t) {
      const jobs = await t.store.jobs.enqueue(shuffled(mixed(t.clock.held, 40)));
      const claimed: string[] = [];
      for (const limit of [1, 2, 3, 5, 8, 13, 21]) claimed.push(...ids(await t.claim({ limit })));
      assertEquals(claimed, ids(jobs.sort(byOrder)));
    },
  },
  {
    name: "jobs that arrive between claims take their place in the order",
    async run(t) {
      const jobs = shuffled(mixed(t.clock.held, 36));
      const claimed: JobRecord[] = [];
      const waiting: JobRecord[] = [];
      for (const i of range(12)) {
        waiting.push(...await t.store.jobs.enqueue(jobs.slice(i * 3, i * 3 + 3)));
        waiting.sort(byOrder);
        const now = await t.claim({ limit: 2 });
        assertEquals(ids(now), ids(waiting.splice(0, 2)), `claim ${i}`);
        claimed.push(...now.map(({ job }) => job));
      }
      assertEquals(claimed.length, 24);
      assertEquals(ids(await t.claim()), ids(waiting));
    },
  },
  {
    name: "several names of one queue are merged into one order",
    async run(t) {
      const jobs = await t.store.jobs.enqueue(shuffled(
        ["mail", "sms", "push"].flatMap((name) => mixed(t.clock.held, 10, { name })),
      ));
      const asked = { names: ["push", "mail", "sms"] };
      const first = await t.claim({ ...asked, limit: 11 });
      const rest = await t.claim(asked);
      assertEquals(ids([...first, ...rest]), ids(jobs.sort(byOrder)));
    },
  },
  {
    name: "several queues are claimed from in the order in which they are asked for",
    async run(t) {
      const [a, b, c] = await Promise.all(["a", "b", "c"].map((queue) =>
        t.store.jobs.enqueue([
          newJob({ queue, priority: 0 }),
          newJob({ queue, priority: queue === "c" ? 9 : 1 }),
        ])
      ));
      const inOrder = (jobs: JobRecord[]) => ids(jobs.sort(byOrder));
      const first = await t.claim({ queues: ["b", "a", "c"], limit: 3 });
      assertEquals(ids(first), [...inOrder(b), inOrder(a)[0]]);
      const rest = await t.claim({ queues: ["b", "c", "a"] });
      assertEquals(ids(rest), [...inOrder(c), inOrder(a)[1]]);
    },
  },
  {
    name: "a job that comes back stands where its priority and new runAt put it",
    async run(t) {
      const [first, second] = await t.enqueueMany(2);
      const [{ lease }] = await t.claim({ limit: 1 });
      await t.settle(lease, { kind: "release", delayMs: 500 });
      const urgent = await t.enqueue({ priority: 1, delayMs: 1000 });
      const between = await t.enqueue({ delayMs: 250 });
      await t.clock.advance(1000);
      assertEquals(ids(await t.claim()), ids([urgent, second, between, first]));
    },
  },
];
