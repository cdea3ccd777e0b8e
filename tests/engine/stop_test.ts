import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { DispatchError } from "../../src/core/errors.ts";
import { defineJob } from "../../src/engine/definition.ts";
import {
  aborted,
  codeOf,
  gate,
  heldJob,
  Noop,
  noops,
  startRig,
  type StoreCall,
  turns,
  until,
} from "../harness.ts";

describe("engine.stop()", () => {
  it("waits for running handlers, and their outcomes are stored when it resolves", async () => {
    const held = heldJob();
    await using rig = await startRig({ jobs: [held.definition], shutdownTimeout: "30s" });
    const { id } = await rig.engine.enqueue(held.definition, null);
    const { job, end } = await held.started();
    let stopped = false;
    const stopping = rig.engine.stop().then(() => (stopped = true));
    await rig.advance("29s");
    assertEquals([stopped, job.signal.aborted], [false, false]);
    end.open("done");
    await stopping;
    assertEquals((await rig.job(id))?.result, "done");
  });

  it("has every finished job settled, also where the store is slow", async () => {
    const slow = gate();
    await using rig = await startRig({
      jobs: [Noop],
      around: async ({ name }, proceed) => {
        if (name === "jobs.settle") await slow.promise;
        return proceed();
      },
    });
    const jobs = await rig.engine.enqueueMany(noops(20));
    await turns();
    const stopping = rig.engine.stop();
    await turns();
    slow.open();
    await stopping;
    const states = await Promise.all(jobs.map(async ({ id }) => await rig.job(id)));
    for (const job of states) {
      assert(job?.state === "completed" || (job?.state === "pending" && job.attempt === 0));
    }
    assert(states.some((job) => job?.state === "completed"));
  });

  it("aborts with shutdown after shutdownTimeout, and gives the attempt back to others at once", async () => {
    const reasons: DispatchError[] = [];
    const Long = defineJob({
      name: "long",
      handler: (_: null, job) =>
        aborted(job.signal).catch((reason) => {
          reasons.push(reason);
          throw new Error("stopped half-way");
        }),
    });
    await using rig = await startRig({ jobs: [Long], shutdownTimeout: "5s" });
    const { id } = await rig.engine.enqueue(Long, null, { maxRetries: 0 });
    await rig.reaches(id, "running");
    const took = await rig.stop();
    assertEquals(reasons.map((reason) => reason.code), ["shutdown"]);
    assert(took >= 5000 && took < 6100, `${took} ms`);
    const job = (await rig.job(id))!;
    assertEquals([job.state, job.attempt, job.retryCount], ["pending", 0, 0]);
    await rig.add({ jobs: [defineJob({ name: "long", handler: () => "elsewhere" })] });
    const done = await rig.reaches(id, "completed"); // without any time passing
    assertEquals([done.result, done.attempt], ["elsewhere", 1]);
  });

  it("gives up handlers that ignore the abort, whose late results change nothing", async () => {
    const held = heldJob();
    await using rig = await startRig({ jobs: [held.definition], shutdownTimeout: "2s" });
    const { id } = await rig.engine.enqueue(held.definition, null);
    const { end } = await held.started();
    const took = await rig.stop();
    assert(took <= 3200, `${took} ms`);
    assertEquals((await rig.job(id))?.attempt, 0);
    end.open("late");
    await turns();
    assertEquals((await rig.job(id))?.state, "pending");
  });

  it("lets a failure that came before the abort count", async () => {
    const held = heldJob();
    await using rig = await startRig({ jobs: [held.definition] });
    const { id } = await rig.engine.enqueue(held.definition, null);
    const { end } = await held.started();
    const stopping = rig.engine.stop();
    await turns();
    end.open(Promise.reject(new Error("no")));
    await stopping;
    const job = (await rig.job(id))!;
    assertEquals([job.state, job.retryCount], ["retrying", 1]);
  });

  it("gives back unspent what was claimed ahead", async () => {
    const hold = gate();
    const Quick = defineJob({
      name: "quick",
      handler: (n: number) => n === 100 ? hold.promise : undefined,
    });
    await using rig = await startRig({ jobs: [Quick], concurrency: 1 });
    await rig.engine.enqueueMany(Array.from({ length: 30 }, (_, n) => ({ job: Quick, input: n })));
    await rig.drained();
    const jobs = await rig.engine.enqueueMany(
      [100, 101, 102].map((input) => ({ job: Quick, input })),
    );
    await until(async () => (await rig.job(jobs[2].id))?.state === "running");
    const stopping = rig.engine.stop();
    await turns();
    for (const { id } of jobs.slice(1)) {
      const job = (await rig.job(id))!;
      assertEquals([job.state, job.attempt], ["pending", 0]);
    }
    hold.open();
    await stopping;
    assertEquals((await rig.job(jobs[0].id))?.state, "completed");
  });

  it("gives back what a claim brings that was under way, of suspects too", async () => {
    for (const suspects of [false, true]) {
      const slow = gate();
      let claims = 0;
      await using rig = await startRig({ concurrency: 0 });
      const { id } = await rig.engine.enqueue(Noop, undefined);
      for (let i = 0; i < 2 && suspects; i++) {
        const claim = { workerId: "w", queues: ["default"], names: ["noop"], limit: 1, leaseMs: 1 };
        await rig.store.jobs.claim({ ...claim, suspects: false });
        await rig.advance(2);
        await rig.store.jobs.rescue(1);
      }
      const engine = await rig.add({
        jobs: [Noop],
        around: async ({ name, args }, proceed) => {
          const result = await proceed();
          if (name === "jobs.claim" && args[0].suspects === suspects && ++claims === 1) {
            await slow.promise;
          }
          return result;
        },
      });
      await rig.reaches(id, "running");
      const stopping = engine.stop();
      await turns();
      slow.open();
      await stopping;
      const job = (await rig.job(id))!;
      assertEquals([job.state, job.attempt], ["pending", suspects ? 2 : 0]);
    }
  });

  it("can be called twice, at once and later: both wait, and it happens once", async () => {
    let shutdowns = 0;
    const held = heldJob();
    await using rig = await startRig({
      jobs: [held.definition],
      extensions: [{ name: "spy", onShutdown: () => void shutdowns++ }],
    });
    await rig.engine.enqueue(held.definition, null);
    await held.started();
    let first = false;
    let second = false;
    const both = Promise.all([
      rig.engine.stop().then(() => (first = true)),
      rig.engine.stop().then(() => (second = true)),
    ]);
    await turns();
    assertEquals([first, second], [false, false]);
    held.endAll();
    await both;
    await rig.engine.stop();
    assertEquals(shutdowns, 1);
  });

  it("ends a start that is under way", async () => {
    for (const method of ["queues.configure", "jobs.rescue", "jobs.claim"]) {
      const slow = gate();
      await using rig = await startRig({ concurrency: 0 });
      const starting = rig.add({
        jobs: [Noop],
        queueLimits: { default: { concurrency: 1 } },
        around: async ({ name }, proceed) => {
          if (name === method) await slow.promise;
          return proceed();
        },
      });
      await turns();
      const stopping = rig.engines[1].stop();
      await turns();
      slow.open();
      await starting;
      await stopping;
    } // leaving the rig's scope tells of timers that are left
  });

  it("ends in bounded time when the store does not answer any more", async () => {
    for (const phase of ["running", "idle", "ended"]) {
      let silent = false;
      const held = heldJob();
      await using rig = await startRig({
        jobs: [held.definition],
        shutdownTimeout: "5s",
        around: (_: StoreCall, proceed) => silent ? new Promise(() => {}) : proceed(),
      });
      if (phase !== "idle") {
        await rig.engine.enqueue(held.definition, null);
        await held.started();
      }
      silent = true;
      if (phase === "ended") held.endAll();
      await rig.advance("30s"); // polls, beats and rescues hang
      const took = await rig.stop();
      assert(took <= 20_000, `${phase}: ${took} ms`);
      assertEquals(await codeOf(() => rig.engine.enqueue(Noop, undefined)), "stopped");
    }
  });

  it("ends in bounded time when the store refuses everything, and says what was not stored", async () => {
    let down = false;
    const held = heldJob();
    await using rig = await startRig({
      jobs: [held.definition],
      shutdownTimeout: "5s",
      around: (_: StoreCall, proceed) => down ? Promise.reject(new Error("away")) : proceed(),
    });
    const { id } = await rig.engine.enqueue(held.definition, null);
    await held.started();
    down = true;
    held.endAll();
    const took = await rig.stop();
    assert(took <= 12_000, `${took} ms`);
    const line = rig.log.lines.find(({ message }) => message.includes("did not take"));
    assertEquals(line?.fields.jobs, 1);
    assertEquals((await rig.job(id))?.state, "running"); // until its lease runs out
  });

  it("keeps leases alive while handlers end", async () => {
    const held = heldJob();
    const lease = { leaseDuration: "10s", heartbeatInterval: "3s", shutdownTimeout: "10m" };
    await using rig = await startRig({ jobs: [held.definition], ...lease });
    const { id } = await rig.engine.enqueue(held.definition, null);
    const { end } = await held.started();
    await rig.add({ jobs: [held.definition], ...lease });
    const stopping = rig.engine.stop();
    await rig.advance("5m");
    end.open("done");
    await stopping;
    assertEquals([(await rig.job(id))?.result, held.attempts.length], ["done", 1]);
  });

  it("lets handlers enqueue until they have ended", async () => {
    const go = gate();
    const Parent = defineJob({
      name: "parent",
      handler: async (_: null, job) => {
        await go.promise;
        return (await job.engine.enqueue(Noop, undefined)).id;
      },
    });
    await using rig = await startRig({ jobs: [Parent] });
    const { id } = await rig.engine.enqueue(Parent, null);
    await rig.reaches(id, "running");
    const stopping = rig.engine.stop();
    await turns();
    go.open();
    await stopping;
    const child = (await rig.job(id))?.result as string;
    assertEquals((await rig.job(child))?.state, "pending");
  });
});
