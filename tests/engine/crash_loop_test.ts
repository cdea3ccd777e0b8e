import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { defineJob } from "../../src/engine/definition.ts";
import { gate, type Rig, startRig, turns, until } from "../harness.ts";

const LEASE = { heartbeatInterval: "10s", leaseDuration: "30s", shutdownTimeout: 0 };

/** A worker that can die: from then on nothing of it reaches the store, and it is never answered. */
function mortalWorker(rig: Rig, options: { concurrency?: number } = {}) {
  let dead = false;
  const calls: number[] = [];
  const never = gate();
  const Job = defineJob({
    name: "job",
    handler: async (n: number) => {
      calls.push(n);
      if (n < 100) return n; // an innocent
      dead = true;
      await never.promise;
    },
  });
  void rig.add({ // that may never end, when it dies at once
    ...LEASE,
    ...options,
    jobs: [Job],
    around: (_, proceed) => dead ? new Promise(() => {}) : proceed(),
  });
  return { calls, isDead: () => dead, buried: () => never.open() };
}

describe("a job that takes its worker down", () => {
  it("is run again by others, and goes to the dead letters at the third time", async () => {
    await using rig = await startRig({ concurrency: 0 });
    const poison = await rig.engine.enqueue("job", 100);
    for (let death = 1; death <= 3; death++) {
      const worker = mortalWorker(rig);
      await until(worker.isDead, () => `worker ${death} lives`);
      await rig.advance("1m"); // its lease runs out
      worker.buried();
    }
    const last = mortalWorker(rig);
    await rig.reaches(poison.id, "failed");
    assertEquals([last.isDead(), (await rig.job(poison.id))?.attempt], [false, 3]);
    const [letter] = await rig.engine.dlq.list();
    assertEquals([letter.reason, letter.retryCount, letter.jobId], ["crash_loop", 0, poison.id]);
    assertEquals(rig.log.count("went silent"), 3);
  });

  it("does not take along the innocents that were claimed with it", async () => {
    await using rig = await startRig({ concurrency: 0 });
    // One behind the other: what is claimed ahead is behind the one that kills.
    const inputs = [...Array(30).keys(), 100, ...Array(30).keys(), 101, ...Array(30).keys()];
    const jobs = await rig.engine.enqueueMany(inputs.map((input) => ({ job: "job", input })));
    for (let death = 0; death < 20; death++) {
      const worker = mortalWorker(rig, { concurrency: 2 });
      await until(async () => worker.isDead() || (await rig.engine.stats()).jobs.pending === 0);
      await turns();
      if (!worker.isDead()) break;
      await rig.advance("70s");
      worker.buried();
    }
    await rig.advance("2m");
    await rig.drained();
    for (const [i, { id }] of jobs.entries()) {
      const job = (await rig.job(id))!;
      assertEquals(job.state, inputs[i] < 100 ? "completed" : "failed", `${i}: ${inputs[i]}`);
    }
    const letters = await rig.engine.dlq.list();
    assertEquals(letters.map((letter) => letter.reason), ["crash_loop", "crash_loop"]);
  });

  it("runs apart from other suspects before it is blamed", async () => {
    await using rig = await startRig({ concurrency: 0 });
    const jobs = await rig.engine.enqueueMany([1, 2, 3, 4].map((input) => ({ job: "job", input })));
    for (let i = 0; i < 2; i++) {
      await rig.store.jobs.claim({
        workerId: "gone",
        queues: ["default"],
        names: ["job"],
        limit: 10,
        leaseMs: 1,
        suspects: false,
      });
      await rig.advance(2);
      assertEquals((await rig.store.jobs.rescue(10)).length, 4);
    }
    let running = 0;
    let most = 0;
    const Watch = defineJob({
      name: "job",
      handler: async () => {
        most = Math.max(most, ++running);
        await turns(5);
        running--;
      },
    });
    await rig.add({ ...LEASE, jobs: [Watch], concurrency: 10 });
    await rig.drained();
    assertEquals(most, 1);
    for (const { id } of jobs) assertEquals((await rig.job(id))?.state, "completed");
  });

  it("is cancelled instead, where that was asked for meanwhile", async () => {
    await using rig = await startRig({ concurrency: 0 });
    const poison = await rig.engine.enqueue("job", 100);
    const worker = mortalWorker(rig);
    await until(worker.isDead);
    await rig.engine.jobs.cancel(poison.id);
    await rig.add({ ...LEASE });
    await rig.advance("1m");
    await rig.reaches(poison.id, "cancelled");
    worker.buried();
  });

  it("runs again after a replay, with a clean record", async () => {
    await using rig = await startRig({ concurrency: 0 });
    const poison = await rig.engine.enqueue("job", 100);
    for (let i = 0; i < 3; i++) {
      await rig.store.jobs.claim({
        workerId: "gone",
        queues: ["default"],
        names: ["job"],
        limit: 1,
        leaseMs: 1,
        suspects: i === 2,
      });
      await rig.advance(2);
      await rig.store.jobs.rescue(10);
    }
    await rig.reaches(poison.id, "failed");
    await rig.engine.jobs.retry(poison.id);
    await rig.add({ ...LEASE, jobs: [defineJob({ name: "job", handler: () => "fixed" })] });
    assertEquals((await rig.reaches(poison.id, "completed")).result, "fixed");
  });

  it("is told of by the engine that found it, with its hooks and to those who wait", async () => {
    const told: string[] = [];
    await using rig = await startRig({ concurrency: 0 });
    const poison = await rig.engine.enqueue("job", 100);
    for (let i = 0; i < 3; i++) {
      await rig.store.jobs.claim({
        workerId: "gone",
        queues: ["default"],
        names: ["job"],
        limit: 1,
        leaseMs: 1,
        suspects: i === 2,
      });
      await rig.advance(2);
      if (i < 2) await rig.store.jobs.rescue(10);
    }
    await rig.add({
      ...LEASE,
      extensions: [{
        name: "spy",
        onJobFailed: (job, { error }) => void told.push(`failed ${job.state} ${error}`),
        onJobDlq: (_, { letterId }) => void told.push(`dlq ${letterId.startsWith("dlq_")}`),
      }],
    });
    await rig.reaches(poison.id, "failed");
    await turns();
    assertEquals(told.length, 2);
    assert(told[0].startsWith("failed failed The job's worker died"));
    assertEquals(told[1], "dlq true");
  });
});
