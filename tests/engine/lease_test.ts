import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { constant } from "../../src/core/backoff.ts";
import type { DispatchError } from "../../src/core/errors.ts";
import { defineJob } from "../../src/engine/definition.ts";
import type { LifecycleExtension } from "../../src/engine/lifecycle.ts";
import { codeOf, gate, heldJob, startRig, turns, until } from "../harness.ts";

const LEASE = { heartbeatInterval: "10s", leaseDuration: "30s" };

/** A worker whose heartbeats fail while `silent.now` is set: it looks dead to everyone else. */
function silenceable() {
  const silent = { now: false };
  return {
    silent,
    around: ({ name }: { name: string }, proceed: () => Promise<unknown>) =>
      silent.now && name !== "jobs.enqueue" ? Promise.reject(new Error("no network")) : proceed(),
  };
}

describe("a lease", () => {
  it("is kept by heartbeats through a job of 20 times its length", async () => {
    const held = heldJob();
    await using rig = await startRig({ jobs: [held.definition], ...LEASE });
    await rig.add({ jobs: [held.definition], ...LEASE });
    const { id } = await rig.engine.enqueue(held.definition, null);
    const { end } = await held.started();
    await rig.advance("10m");
    end.open("done");
    const job = await rig.reaches(id, "completed");
    assertEquals([job.attempt, held.attempts.length], [1, 1]);
  });

  it("is kept for jobs that wait for a free slot or for the store", async () => {
    let down = false;
    const held = heldJob();
    await using rig = await startRig({
      jobs: [held.definition],
      ...LEASE,
      around: ({ name }, proceed) =>
        down && name === "jobs.settle" ? Promise.reject(new Error("no")) : proceed(),
    });
    await rig.add({ jobs: [held.definition], ...LEASE });
    const { id } = await rig.engine.enqueue(held.definition, null);
    const { end } = await held.started();
    down = true;
    end.open("done");
    await rig.advance("5m");
    down = false;
    await rig.advance("10s");
    const job = await rig.reaches(id, "completed");
    assertEquals([job.result, held.attempts.length, job.attempt], ["done", 1, 1]);
  });

  it("that is lost aborts the handler, whose late outcome is refused and fires no hook", async () => {
    const told: string[] = [];
    const spy: LifecycleExtension = {
      name: "spy",
      onJobCompleted: (job) => void told.push(`completed ${job.attempt}`),
      onJobFailed: () => void told.push("failed"),
      onJobRetrying: () => void told.push("retrying"),
    };
    const { silent, around } = silenceable();
    const held = heldJob();
    await using rig = await startRig({
      jobs: [held.definition],
      concurrency: 1,
      extensions: [spy],
      around,
      ...LEASE,
    });
    const { id } = await rig.engine.enqueue(held.definition, null);
    const first = await held.started();
    void first.job.signal;
    silent.now = true;
    await rig.add({ jobs: [held.definition], ...LEASE });
    await rig.advance("50s"); // the lease runs out, the other worker rescues and claims
    const second = await held.started(2);
    assertEquals(second.job.attempt, 2);
    silent.now = false;
    await rig.advance("20s");
    assertEquals((first.job.signal.reason as DispatchError).code, "lease_lost");
    first.end.open("late");
    await turns();
    assertEquals((await rig.job(id))?.state, "running");
    second.end.open("right");
    assertEquals((await rig.reaches(id, "completed")).result, "right");
    assertEquals(told, []); // the second attempt belongs to an engine without the spy
  });

  it("that is lost unnoticed is still refused at settlement", async () => {
    const { silent, around } = silenceable();
    const completed: string[] = [];
    const held = heldJob();
    await using rig = await startRig({
      jobs: [held.definition],
      concurrency: 1,
      around,
      extensions: [{ name: "spy", onJobCompleted: (job) => void completed.push(job.id) }],
      ...LEASE,
    });
    const { id } = await rig.engine.enqueue(held.definition, null);
    const first = await held.started();
    silent.now = true;
    await rig.add({ jobs: [held.definition], ...LEASE });
    await rig.advance("50s");
    const second = await held.started(2);
    silent.now = false;
    first.end.open("late"); // before any heartbeat told
    await until(() => rig.log.count("came too late") === 1);
    assertEquals([(await rig.job(id))?.state, completed], ["running", []]);
    second.end.open("right");
    assertEquals((await rig.reaches(id, "completed")).result, "right");
  });

  it("of a job that is not run yet is dropped without calling its handler when it is lost", async () => {
    const { silent, around } = silenceable();
    const hold = gate();
    const calls: string[] = [];
    const job = (worker: string) =>
      defineJob({
        name: "job",
        handler: async (n: number) => {
          calls.push(`${worker}${n}`);
          if (n === 100 && worker === "a") await hold.promise;
        },
      });
    const A = job("a");
    await using rig = await startRig({ jobs: [A], concurrency: 1, around, ...LEASE });
    await rig.engine.enqueueMany(Array.from({ length: 30 }, (_, n) => ({ job: A, input: n })));
    await rig.drained();
    const jobs = await rig.engine.enqueueMany([100, 101, 102].map((input) => ({ job: A, input })));
    await until(async () => (await rig.job(jobs[2].id))?.state === "running");
    silent.now = true;
    await rig.add({ jobs: [job("b")], ...LEASE });
    await rig.advance("60s");
    silent.now = false;
    await rig.advance("15s");
    hold.open();
    await rig.drained();
    assertEquals(calls.filter((call) => !call.startsWith("a") || call === "a100").sort(), [
      "a100",
      "b100",
      "b101",
      "b102",
    ]);
    assert(!calls.includes("a101") && !calls.includes("a102"));
  });

  it("is never taken from a worker by itself, however late its heartbeat is", async () => {
    for (let round = 0; round < 20; round++) {
      const held = heldJob();
      let blocked = false;
      await using rig = await startRig({
        jobs: [held.definition],
        ...LEASE,
        // While the event loop is blocked nothing is sent; here: nothing is answered.
        around: ({ name }, proceed) =>
          blocked && (name === "jobs.extend" || name === "jobs.rescue")
            ? Promise.reject(new Error("blocked"))
            : proceed(),
      });
      const { id } = await rig.engine.enqueue(held.definition, null);
      const { end } = await held.started();
      blocked = true;
      await rig.advance("60s");
      blocked = false;
      await rig.advance("15s");
      assertEquals(held.attempts.length, 1);
      end.open("done");
      assertEquals((await rig.reaches(id, "completed")).attempt, 1);
    }
  });

  it("of a handler that blocks the event loop may be lost, and then only one outcome counts", async () => {
    const completed: number[] = [];
    let calls = 0;
    const heard = gate();
    let silent = false; // from when on nothing of the first worker reaches the store but its outcome
    const Block = defineJob({
      name: "block",
      backoff: constant(0),
      handler: async (_: null, job) => {
        if (++calls > 1) return "second";
        silent = true;
        const end = Date.now() + 200;
        while (Date.now() < end);
        await until(async () => (await rig.job(job.id))?.attempt !== 1);
        return "first";
      },
    });
    const spy = {
      name: "spy",
      onJobCompleted: (job: { attempt: number }) => void completed.push(job.attempt),
    };
    const options = {
      jobs: [Block],
      extensions: [spy],
      leaseDuration: 50,
      heartbeatInterval: 20,
      realTime: true,
    };
    await using rig = await startRig({
      ...options,
      concurrency: 1,
      around: ({ name }, proceed) =>
        silent && (name === "jobs.extend" || name === "jobs.rescue")
          ? heard.promise.then(proceed)
          : proceed(),
    });
    const { id } = await rig.engine.enqueue(Block, null);
    await rig.reaches(id, "running");
    await rig.add(options);
    const job = await rig.reaches(id, "completed");
    assertEquals([job.result, job.attempt], ["second", 2]);
    await until(() => rig.log.count("came too late") === 1);
    assertEquals(completed, [2]);
    heard.open();
  });
});

describe("job.progress()", () => {
  it("is stored and shown, the latest value of one turn winning", async () => {
    const writes: number[] = [];
    const held = heldJob();
    await using rig = await startRig({
      jobs: [held.definition],
      around: ({ name, args }, proceed) => {
        if (name === "jobs.extend") writes.push(args[0].length);
        return proceed();
      },
    });
    const { id } = await rig.engine.enqueue(held.definition, null);
    const { job, end } = await held.started();
    await job.progress({ percent: 10 });
    assertEquals((await rig.engine.jobs.get(id))?.progress, { percent: 10 });
    await Promise.all([20, 30, 40].map((percent) => job.progress({ percent })));
    assertEquals((await rig.job(id))?.progress, { percent: 40 });
    assertEquals(writes.length, 2);
    assertEquals(await codeOf(() => job.progress(10n)), "payload_not_json");
    end.open("done");
    const done = await rig.reaches(id, "completed");
    assertEquals([done.progress, done.result], [{ percent: 40 }, "done"]);
  });

  it("rejects with lease_lost and aborts the handler where the job is another worker's", async () => {
    const { silent, around } = silenceable();
    const held = heldJob();
    await using rig = await startRig({
      jobs: [held.definition],
      concurrency: 1,
      around,
      ...LEASE,
    });
    const { id } = await rig.engine.enqueue(held.definition, null);
    const first = await held.started();
    silent.now = true;
    await rig.add({ jobs: [held.definition], ...LEASE });
    await rig.advance("50s");
    const second = await held.started(2);
    await second.job.progress("mine");
    silent.now = false;
    assertEquals(await codeOf(() => first.job.progress("stale")), "lease_lost");
    assertEquals((first.job.signal.reason as DispatchError).code, "lease_lost");
    assertEquals((await rig.job(id))?.progress, "mine");
    held.endAll();
  });

  it("learns of a cancellation elsewhere", async () => {
    const held = heldJob();
    await using rig = await startRig({ jobs: [held.definition] });
    const other = await rig.add({ concurrency: 0 });
    const { id } = await rig.engine.enqueue(held.definition, null);
    const { job, end } = await held.started();
    await other.jobs.cancel(id);
    await job.progress(1);
    assertEquals((job.signal.reason as DispatchError).code, "cancelled");
    end.open(undefined);
    await rig.reaches(id, "cancelled");
  });
});
