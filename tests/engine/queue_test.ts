import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { defineJob } from "../../src/engine/definition.ts";
import { codeOf, gate, heldJob, Noop, noops, startRig, turns, until } from "../harness.ts";

/** A job that notes its input. */
function noting(name = "note") {
  const seen: unknown[] = [];
  const definition = defineJob({ name, handler: (input: unknown) => void seen.push(input) });
  return { definition, seen };
}

describe("the order of jobs", () => {
  it("is by priority, then by age", async () => {
    const { definition, seen } = noting();
    await using rig = await startRig({ concurrency: 0 });
    for (const [input, priority] of [["a", 0], ["b", 5], ["c", -5], ["d", 5], ["e", 0]] as const) {
      await rig.engine.enqueue(definition, input, { priority });
    }
    await rig.add({ jobs: [definition], concurrency: 1 });
    await rig.drained();
    assertEquals(seen, ["b", "d", "a", "e", "c"]);
  });

  it("keeps a delayed job back until it is due, to the millisecond", async () => {
    const { definition, seen } = noting();
    await using rig = await startRig({ jobs: [definition] });
    await rig.engine.enqueue(definition, "delay", { delay: "90s" });
    await rig.engine.enqueue(definition, "runAt", { runAt: new Date(rig.clock.now() + 100_500) });
    await rig.engine.enqueue(definition, "past", { runAt: new Date(0) });
    await turns();
    assertEquals(seen, ["past"]);
    await rig.advance(89_999);
    assertEquals(seen, ["past"]);
    await rig.advance(1);
    await turns();
    assertEquals(seen, ["past", "delay"]);
    await rig.advance(10_500);
    await turns();
    assertEquals(seen, ["past", "delay", "runAt"]);
  });
});

describe("engine.queues.pause()", () => {
  it("ends claims for every worker, gives back what was claimed ahead, and lets running jobs end", async () => {
    const hold = gate();
    const seen: number[] = [];
    const Quick = defineJob({
      name: "quick",
      handler: async (n: number) => {
        seen.push(n);
        if (n === 100) await hold.promise;
      },
    });
    await using rig = await startRig({ jobs: [Quick], concurrency: 1 });
    await rig.engine.enqueueMany(Array.from({ length: 40 }, (_, n) => ({ job: Quick, input: n })));
    await rig.drained();
    const jobs = await rig.engine.enqueueMany(
      Array.from({ length: 10 }, (_, n) => ({ job: Quick, input: 100 + n })),
    );
    await until(async () => (await rig.job(jobs[9].id))?.state === "running"); // claimed ahead
    const other = await rig.add({ jobs: [Quick] });
    await other.queues.pause("default");
    await rig.engine.queues.pause("default");
    await until(async () => (await rig.engine.jobs.counts()).pending === 9);
    hold.open();
    await rig.reaches(jobs[0].id, "completed");
    await rig.engine.enqueue(Quick, 200);
    await rig.advance("1m");
    assertEquals([(await rig.engine.jobs.counts()).pending, seen.length], [10, 41]);
    assertEquals((await rig.job(jobs[9].id))?.attempt, 0);
    const [queue] = await rig.engine.queues.list();
    assertEquals([queue.name, queue.paused, queue.counts.pending], ["default", true, 10]);
    await other.queues.resume("default");
    await rig.drained(); // without any time passing
    assertEquals(seen.length, 51);
  });

  it("refuses names that no queue can have", async () => {
    await using rig = await startRig();
    for (const method of ["pause", "resume"] as const) {
      assertEquals(await codeOf(() => rig.engine.queues[method]("")), "invalid_queue");
    }
  });
});

describe("a queue's concurrency", () => {
  it("holds over all engines, and no time is lost between jobs", async () => {
    const held = heldJob("held", { queue: "narrow" });
    const options = { jobs: [held.definition], queues: ["narrow"], concurrency: 10 };
    await using rig = await startRig({ ...options, queueLimits: { narrow: { concurrency: 3 } } });
    await rig.add(options);
    let running = 0;
    let most = 0;
    const Busy = defineJob({
      name: "busy",
      queue: "narrow",
      handler: async () => {
        most = Math.max(most, ++running);
        await turns(3);
        running--;
      },
    });
    rig.engines.forEach((engine) => engine.register(Busy));
    await rig.engine.enqueueMany(Array.from({ length: 60 }, () => ({ job: Busy })));
    await rig.drained(); // without any time passing
    assertEquals(most, 3);
  });

  it("can be changed while jobs run, and lifted", async () => {
    const held = heldJob();
    await using rig = await startRig({ jobs: [held.definition] });
    await rig.engine.queues.configure("default", { concurrency: 1 });
    for (let i = 0; i < 4; i++) await rig.engine.enqueue(held.definition, null);
    await held.started(1);
    await rig.advance("1m");
    assertEquals(held.attempts.length, 1);
    await rig.engine.queues.configure("default", {});
    assertEquals((await rig.engine.queues.list())[0].concurrency, 1);
    await rig.engine.queues.configure("default", { concurrency: null });
    await held.started(4);
    held.endAll();
  });

  it("is a whole number from 1, or none", async () => {
    await using rig = await startRig();
    for (const concurrency of [0, -1, 1.5, NaN, "2", {}, Symbol("s")]) {
      const limits = { concurrency: concurrency as number };
      assertEquals(
        await codeOf(() => rig.engine.queues.configure("q", limits)),
        "invalid_concurrency",
      );
    }
    assertEquals(await codeOf(() => rig.engine.queues.configure("", {})), "invalid_queue");
  });
});

describe("several queues", () => {
  it("are all served: one job behind 100,000 of another queue starts with the second claim", async () => {
    const order: string[] = [];
    const claims: number[] = [];
    const Note = defineJob({
      name: "note",
      handler: (_: null, job) => void order.push(job.queue),
    });
    await using rig = await startRig({ concurrency: 0 });
    await rig.engine.enqueueMany(
      Array.from({ length: 100_000 }, () => ({ job: Note, options: { queue: "a" } })),
    );
    await rig.engine.enqueue(Note, null, { queue: "b" });
    await rig.add({
      jobs: [Note],
      queues: ["a", "b"],
      around: async ({ name, args }, proceed) => {
        const result = await proceed();
        if (name === "jobs.claim" && !args[0].suspects) claims.push((result as unknown[]).length);
        return result;
      },
    });
    await until(() => order.includes("b"));
    const before = order.indexOf("b");
    assert(before <= claims[0] + claims[1], `${before} of a ran before b`);
    await rig.drained();
    assertEquals(order.length, 100_001);
  });

  it("that nobody polls are left alone", async () => {
    await using rig = await startRig({ jobs: [Noop], queues: ["a"] });
    const { id } = await rig.engine.enqueue(Noop, undefined, { queue: "b" });
    await rig.advance("1h");
    assertEquals((await rig.job(id))?.attempt, 0);
  });

  it("are listed by name with their figures", async () => {
    await using rig = await startRig({ concurrency: 0 });
    await rig.engine.enqueueMany([...noops(2, { queue: "b" }), ...noops(1, { queue: "a" })]);
    const queues = await rig.engine.queues.list();
    assertEquals(queues.map(({ name, counts }) => [name, counts.pending]), [["a", 1], ["b", 2]]);
    assertEquals((await rig.engine.stats()).jobs.pending, 3);
  });
});
