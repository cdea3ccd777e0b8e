import { assertEquals, assertLessOrEqual } from "@std/assert";
import type { ClaimedJob } from "../../core/lease.ts";
import type { Store } from "../../store/store.ts";
import { type CaseContext, DONE, ids, LEASE_MS, newJob, range, type StoreCase } from "./context.ts";
import { publish, running, steps, wait } from "./run_context.ts";

/** Several handles on the same data. */
async function openPeers(t: CaseContext, count: number): Promise<Store[]> {
  return [t.store, ...await Promise.all(range(count - 1).map(() => t.peer()))];
}

/** Claims through all peers at once until each has found nothing. Returns everything claimed. */
async function drain(t: CaseContext, peers: readonly Store[], limit: number) {
  const claims = peers.map(async (peer, i) => {
    const mine: ClaimedJob[] = [];
    for (;;) {
      const claimed = await t.claim({ workerId: `worker-${i}`, limit }, peer);
      if (claimed.length === 0) return mine;
      assertLessOrEqual(claimed.length, limit);
      mine.push(...claimed);
      assertLessOrEqual(mine.length, 1000, "claims without end");
    }
  });
  return (await Promise.all(claims)).flat();
}

export const raceCases: readonly StoreCase[] = [
  {
    name: "workers that claim at the same time get each job once",
    async run(t) {
      const jobs = await t.enqueueMany(100);
      const claimed = await drain(t, await openPeers(t, 5), 7);
      claimed.push(...await t.claim()); // what a peer had passed over while it was locked
      assertEquals(ids(claimed).sort(), ids(jobs));
      const tokens = new Set(claimed.map(({ lease }) => `${lease.jobId} ${lease.token}`));
      assertEquals(tokens.size, jobs.length);
      for (const { job } of claimed) {
        assertEquals(await t.job(job.id), job, "whoever was given it owns it");
      }
    },
  },
  {
    name: "many claims at the same time over one handle get each job once",
    async run(t) {
      const jobs = await t.enqueueMany(60);
      const claims = await Promise.all(range(20).map(() => t.claim({ limit: 3 })));
      const claimed = [...claims.flat(), ...await t.claim()];
      assertEquals(ids(claimed).sort(), ids(jobs));
    },
  },
  {
    name: "jobs that are enqueued while others claim are all claimed, each once",
    async run(t) {
      const peers = await openPeers(t, 3);
      const enqueued: string[] = [];
      const claimed: ClaimedJob[] = [];
      for (const _ of range(10)) {
        const batch = range(9).map(() => newJob());
        const [added, ...found] = await Promise.all([
          t.store.jobs.enqueue(batch),
          ...peers.map((peer) => t.claim({ limit: 3 }, peer)),
        ]);
        enqueued.push(...ids(added));
        claimed.push(...found.flat());
      }
      claimed.push(...await t.claim());
      assertEquals(ids(claimed).sort(), enqueued.sort());
    },
  },
  {
    name: "a lease that is settled while it is rescued ends in one of the two, never in both",
    async run(t) {
      const peer = await t.peer();
      await t.enqueueMany(20);
      const claimed = await t.claim();
      await t.clock.advance(LEASE_MS + 1);
      const [rescued, ...statuses] = await Promise.all([
        peer.jobs.rescue(100),
        ...claimed.map(({ lease }) => t.settle(lease, DONE)),
      ]);
      const taken = new Set(ids([...rescued, ...await t.store.jobs.rescue(100)]));
      for (const [i, { job }] of claimed.entries()) {
        const settled = statuses[i] === "settled";
        assertEquals(taken.has(job.id), !settled);
        const { state, crashes } = await t.job(job.id);
        assertEquals([state, crashes], settled ? ["completed", 0] : ["pending", 1]);
      }
    },
  },
  {
    name: "claims and rescues at the same time never give one job to two workers",
    async run(t) {
      const peers = await openPeers(t, 3);
      const jobs = await t.enqueueMany(30);
      await t.claim({ limit: 15 });
      await t.clock.advance(LEASE_MS + 1);
      const [, , ...found] = await Promise.all([
        peers[0].jobs.rescue(100),
        peers[1].jobs.rescue(100),
        ...peers.map((peer, i) => t.claim({ workerId: `new-${i}` }, peer)),
      ]);
      await t.store.jobs.rescue(100);
      const claimed = [...found.flat(), ...await t.claim()];
      assertEquals(ids(claimed).sort(), ids(jobs));
      const statuses = await t.store.jobs.settle(
        claimed.map(({ lease }) => ({ lease, outcome: DONE })),
      );
      assertEquals(statuses, jobs.map(() => "settled"));
    },
  },
  {
    name: "settlements of one lease at the same time: exactly one counts",
    async run(t) {
      const peers = await openPeers(t, 3);
      for (const _ of range(5)) {
        const { job, lease } = await t.running();
        const statuses = await Promise.all(
          peers.map((peer, i) =>
            peer.jobs.settle([{ lease, outcome: { kind: "complete", result: `${i}` } }])
          ),
        );
        const winners = statuses.flat().flatMap((status, i) => status === "settled" ? [i] : []);
        assertEquals(winners.length, 1);
        assertEquals((await t.job(job.id)).result, `${winners[0]}`);
      }
    },
  },
  {
    name: "a job that is cancelled while it is claimed is either cancelled or told so",
    async run(t) {
      const peer = await t.peer();
      for (const _ of range(10)) {
        const { id } = await t.enqueue();
        const [cancelled, claimed] = await Promise.all([
          peer.jobs.cancel(id),
          t.claim(),
        ]);
        if (claimed.length === 0) assertEquals(cancelled.state, "cancelled");
        else assertEquals(await t.extend(claimed[0].lease), "cancelling");
        if (claimed.length > 0) await t.settle(claimed[0].lease, DONE);
      }
    },
  },
  {
    name: "a queue's concurrency holds for workers that claim at the same time",
    async run(t) {
      const peers = await openPeers(t, 4);
      await t.enqueueMany(20);
      await t.store.queues.configure("default", { concurrency: 3 });
      const left = new Set<string>();
      for (let done = 0; done < 20;) {
        const found = await Promise.all(peers.map((peer) => t.claim({ limit: 2 }, peer)));
        const claimed = [...found.flat(), ...await t.claim()];
        assertEquals(claimed.length, Math.min(3, 20 - done));
        assertEquals((await t.store.jobs.counts()).running, claimed.length);
        await t.store.jobs.settle(claimed.map(({ lease }) => ({ lease, outcome: DONE })));
        for (const id of ids(claimed)) left.add(id);
        done += claimed.length;
      }
      assertEquals(left.size, 20);
    },
  },
  ...[true, false].map((alone): StoreCase => ({
    name: `of two events for ${alone ? "the run" : "all"} that come while it begins to wait, ` +
      "it is given the first",
    part: "workflows",
    async run(t) {
      const peer = await t.peer();
      for (const round of range(20)) {
        const name = `paid${round}`;
        const { job, lease } = await running(t);
        const send = async () => {
          const jobId = alone ? job.id : null;
          for (const n of range(2)) await publish(t, { jobId, name, payload: String(n) }, peer);
        };
        await Promise.all([wait(t, lease, { events: [name] }), send()]);
        const [{ result }] = await steps(t, job.id);
        assertEquals(result, `{"name":"${name}","payload":0}`);
        const next = await wait(t, lease, { position: 1, events: [name] });
        assertEquals(next?.result, `{"name":"${name}","payload":1}`);
        await t.settle(lease, DONE);
      }
    },
  })),
];
