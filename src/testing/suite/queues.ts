import { assertEquals } from "@std/assert";
import { noJobs } from "../../core/job.ts";
import { DONE, ids, type StoreCase } from "./context.ts";

export const queueCases: readonly StoreCase[] = [
  {
    name: "jobs of a paused queue are not claimed until it is resumed",
    async run(t) {
      const jobs = await t.enqueueMany(2);
      await t.store.queues.configure("default", { paused: true });
      assertEquals(await t.claim(), []);
      const late = await t.enqueue({ priority: 1 });
      assertEquals(await t.claim(), [], "also those that come later");
      await t.store.queues.configure("default", { paused: false });
      assertEquals(ids(await t.claim()), ids([late, ...jobs]));
    },
  },
  {
    name: "a paused queue does not stop the others",
    async run(t) {
      await t.enqueue();
      const other = await t.enqueue({ queue: "other" });
      await t.store.queues.configure("default", { paused: true });
      assertEquals(ids(await t.claim({ queues: ["default", "other"], limit: 1 })), [other.id]);
    },
  },
  {
    name: "a pause does not touch jobs that run",
    async run(t) {
      const { job, lease } = await t.running();
      await t.store.queues.configure("default", { paused: true });
      assertEquals(await t.job(job.id), job);
      assertEquals(await t.extend(lease), "held");
      assertEquals(await t.settle(lease, DONE), "settled");
    },
  },
  {
    name: "rescue() works in a paused queue, and what it takes back is not claimed",
    async run(t) {
      const { job } = await t.running();
      await t.store.queues.configure("default", { paused: true });
      assertEquals(ids(await t.expireAndRescue()), [job.id]);
      assertEquals(await t.claim(), []);
    },
  },
  {
    name: "a queue can be paused before its first job",
    async run(t) {
      await t.store.queues.configure("default", { paused: true });
      await t.enqueue();
      assertEquals(await t.claim(), []);
    },
  },
  {
    name: "a queue runs at most as many jobs as its concurrency, over all workers",
    async run(t) {
      const peer = await t.peer();
      await t.store.queues.configure("default", { concurrency: 3 });
      const jobs = await t.enqueueMany(5);
      const first = await t.claim({ limit: 2 });
      const second = await t.claim({ workerId: "worker-2" }, peer);
      assertEquals(ids([...first, ...second]), ids(jobs.slice(0, 3)));
      assertEquals(await t.claim(), []);
      await t.settle(second[0].lease, { kind: "release", delayMs: 60_000 });
      assertEquals(ids(await t.claim()), [jobs[3].id]);
      await t.settle(first[0].lease, DONE);
      assertEquals(ids(await t.claim({}, peer)), [jobs[4].id]);
    },
  },
  {
    name: "a rescue makes room for the next job",
    async run(t) {
      await t.store.queues.configure("default", { concurrency: 1 });
      const [first, second] = await t.enqueueMany(2);
      await t.claim();
      assertEquals(ids(await t.expireAndRescue()), [first.id]);
      assertEquals((await t.claim()).length, 1);
      assertEquals((await t.job(second.id)).attempt + (await t.job(first.id)).attempt, 2);
    },
  },
  {
    name: "each queue of a claim has its own concurrency",
    async run(t) {
      await t.store.queues.configure("a", { concurrency: 1 });
      await t.store.queues.configure("c", { concurrency: 0 });
      const [first] = await t.enqueueMany(2, { queue: "a" });
      const rest = await t.enqueueMany(2, { queue: "b" });
      await t.enqueue({ queue: "c" });
      assertEquals(ids(await t.claim({ queues: ["c", "a", "b"] })), ids([first, ...rest]));
    },
  },
  {
    name: "suspects of a crash loop count for the concurrency as well",
    async run(t) {
      const { id } = await t.enqueue();
      for (let crash = 0; crash < 2; crash++) {
        await t.claimOnly(id);
        await t.expireAndRescue();
      }
      await t.enqueueMany(2);
      await t.store.queues.configure("default", { concurrency: 1 });
      assertEquals((await t.claim({ suspects: true })).length, 1);
      assertEquals(await t.claim(), []);
    },
  },
  {
    name: "a concurrency below what runs stops nothing, and lets nothing start",
    async run(t) {
      await t.enqueueMany(4);
      const [a, b, c] = await t.claim({ limit: 3 });
      await t.store.queues.configure("default", { concurrency: 1 });
      for (const { lease } of [a, b]) {
        assertEquals(await t.settle(lease, DONE), "settled");
        assertEquals(await t.claim(), []);
      }
      await t.settle(c.lease, DONE);
      assertEquals((await t.claim()).length, 1);
    },
  },
  {
    name: "nextDue() waits for nothing in a queue that is paused or full",
    async run(t) {
      const due = () => t.store.jobs.nextDue(["default"], ["mail"]);
      await t.enqueueMany(2);
      await t.store.queues.configure("default", { paused: true });
      assertEquals(await due(), null);
      await t.store.queues.configure("default", { paused: false, concurrency: 1 });
      assertEquals(await due(), 0);
      await t.claim();
      assertEquals(await due(), null);
    },
  },
  {
    name: "configure() changes what is named and leaves the rest",
    async run(t) {
      const { queues } = t.store;
      const settings = async () => (await queues.list()).map((q) => [q.paused, q.concurrency]);
      await queues.configure("default", { concurrency: 5 });
      assertEquals(await settings(), [[false, 5]]);
      await queues.configure("default", { paused: true });
      assertEquals(await settings(), [[true, 5]]);
      await queues.configure("default", {});
      assertEquals(await settings(), [[true, 5]]);
      await queues.configure("default", { concurrency: null });
      assertEquals(await settings(), [[true, null]]);
    },
  },
  {
    name: "list() has every queue with jobs or settings, by name, with its counts",
    async run(t) {
      assertEquals(await t.store.queues.list(), []);
      await t.inState("completed", { queue: "c" });
      await t.inState("failed", { queue: "c" });
      await t.inState("running", { queue: "c" });
      await t.inState("retrying", { queue: "a" });
      await t.inState("cancelled", { queue: "a" });
      await t.enqueueMany(2, { queue: "a" });
      await t.store.queues.configure("b", { paused: true, concurrency: 7 });
      await t.claim({ queues: ["nobody"] });
      assertEquals(await t.store.queues.list(), [
        {
          name: "a",
          paused: false,
          concurrency: null,
          counts: { ...noJobs(), retrying: 1, cancelled: 1, pending: 2 },
        },
        { name: "b", paused: true, concurrency: 7, counts: noJobs() },
        {
          name: "c",
          paused: false,
          concurrency: null,
          counts: { ...noJobs(), completed: 1, failed: 1, running: 1 },
        },
      ]);
    },
  },
  {
    name: "a queue without settings is no longer listed when its last job is gone",
    async run(t) {
      const { id } = await t.enqueue();
      await t.store.jobs.remove(id);
      assertEquals(await t.store.queues.list(), []);
    },
  },
];
