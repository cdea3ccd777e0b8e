import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { defineJob } from "../../src/engine/definition.ts";
import { gate, Noop, noops, startRig, turns, until } from "../harness.ts";

describe("100,000 jobs that do nothing", () => {
  it("leave the event loop its turns while they drain", async () => {
    await using rig = await startRig({ jobs: [Noop] });
    await rig.engine.queues.pause("default");
    await rig.engine.enqueueMany(noops(100_000));
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 1);
    await rig.engine.queues.resume("default");
    await rig.drained();
    clearInterval(ticking);
    assertEquals((await rig.engine.jobs.counts()).completed, 10_000); // as many as the store keeps
    assert(ticks >= 3, `${ticks} ticks`);
  });

  it("cost few round trips, and leave nothing behind in the engine", async () => {
    const calls: Record<string, number> = {};
    const extended: number[] = [];
    let handled = 0;
    const Count = defineJob({ name: "count", handler: () => void handled++ });
    await using rig = await startRig({
      jobs: [Count],
      heartbeatInterval: "10s",
      around: async ({ name, args }, proceed) => {
        calls[name] = (calls[name] ?? 0) + 1;
        if (name === "jobs.extend") extended.push(args[0].length);
        await turns(1); // as a store behind a socket does: what ends meanwhile shares a write
        return proceed();
      },
    });
    await rig.advance("1s");
    const armed = rig.clock.armed;
    for (let round = 0; round < 10; round++) {
      await rig.engine.enqueueMany(Array.from({ length: 10_000 }, () => ({ job: Count })));
      await rig.drained();
    }
    assertEquals(handled, 100_000);
    assert(calls["jobs.claim"] < 1500, `${calls["jobs.claim"]} claims`);
    assert(calls["jobs.settle"] < 3000, `${calls["jobs.settle"]} settlements`);
    extended.length = 0;
    await rig.advance("1m");
    assertEquals(extended, []); // nothing is leased any more
    assertEquals(rig.clock.armed, armed); // and no timer came to stay
  });

  it("that each have a timeout and wait for a result leave nothing behind either", async () => {
    await using rig = await startRig({ jobs: [Noop] });
    await rig.advance("1s");
    const armed = rig.clock.armed;
    const jobs = await rig.engine.enqueueMany(noops(5000, { timeout: "1h" }));
    await Promise.all(jobs.map(({ id }) => rig.engine.result(id, { timeout: "1h" })));
    await rig.advance("6s");
    assertEquals(rig.clock.armed, armed);
  });
});

describe("a clock of the machine that steps back", () => {
  it("does not keep the event loop from its turns", async () => {
    const real = Date.now;
    let count = 0;
    let ticks = 0;
    const Step = defineJob({
      name: "step",
      handler: () => {
        if (++count === 1000) Date.now = () => real() - 3_600_000;
        if (count === 2000) ticks = 0;
        if (count === 100_000) ticksWhile = ticks;
      },
    });
    let ticksWhile = 0;
    await using rig = await startRig({ concurrency: 0 });
    await rig.engine.enqueueMany(Array.from({ length: 100_000 }, () => ({ job: Step })));
    const ticking = setInterval(() => ticks++, 1);
    try {
      await rig.add({ jobs: [Step] });
      await until(() => count === 100_000);
    } finally {
      Date.now = real;
      clearInterval(ticking);
    }
    await rig.drained();
    assert(ticksWhile >= 2, `${ticksWhile} ticks`);
  });
});

describe("the look-ahead", () => {
  it("gives jobs back when those before them turn out long, so that peers can run them", async () => {
    const hold = gate();
    let longNow = false;
    const ran = { a: 0, b: 0 };
    const job = (worker: "a" | "b") =>
      defineJob({
        name: "job",
        handler: async () => {
          ran[worker]++;
          if (longNow && worker === "a") await hold.promise;
        },
      });
    const A = job("a");
    await using rig = await startRig({ jobs: [A], concurrency: 2 });
    await rig.engine.enqueueMany(Array.from({ length: 100 }, () => ({ job: A })));
    await rig.drained();
    longNow = true;
    const jobs = await rig.engine.enqueueMany(Array.from({ length: 50 }, () => ({ job: A })));
    await until(async () => (await rig.job(jobs[49].id))?.state === "running");
    await rig.add({ jobs: [job("b")] });
    await turns();
    assertEquals(ran.b, 0); // all are claimed ahead
    await rig.advance("300ms");
    await turns();
    assertEquals([ran.a, ran.b], [102, 48]);
    for (const { id } of jobs) assert((await rig.job(id))!.attempt === 1);
    hold.open();
  });

  it("claims no more than it can run where jobs are long", async () => {
    let claimed = 0;
    const hold = gate();
    const Long = defineJob({ name: "long", handler: () => hold.promise });
    await using rig = await startRig({
      jobs: [Long],
      concurrency: 7,
      around: async ({ name }, proceed) => {
        const result = await proceed();
        if (name === "jobs.claim") claimed += (result as unknown[]).length;
        return result;
      },
    });
    await rig.engine.enqueueMany(Array.from({ length: 50 }, () => ({ job: Long })));
    await rig.advance("1m");
    assertEquals(claimed, 7);
    hold.open();
  });
});
