import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { nextTurn, sleep } from "../../src/core/clock.ts";
import { defineWorkflow } from "../../src/workflow/definition.ts";
import { startRig, turns, until } from "../harness.ts";

describe("an engine with workflows", () => {
  it("takes the latest version for a new run, and leaves runs of a version that it lacks", async () => {
    const flow = (version: number) =>
      defineWorkflow({
        name: "flow",
        version,
        handler: async (_: null, step) => {
          await step.sleep("nap", "1m");
          return version;
        },
      });
    const [One, Two] = [flow(1), flow(2)];
    await using rig = await startRig({ jobs: [One], concurrency: 2 });
    const old = await rig.engine.startWorkflow("flow", null);
    await turns(50);
    await rig.stop();
    const newer = await rig.add({ jobs: [Two] });
    const run = await newer.startWorkflow("flow", null);
    assertEquals([old.version, run.version], [1, 2]);
    await turns(50);
    await rig.advance("3m");
    assertEquals(await newer.result(run.id), 2);
    assertEquals((await newer.stats()).unserved, [{ name: "flow", version: 1, runs: 1 }]);
    assertEquals(rig.log.count("runs wait for a version"), 1, "told once");
    newer.register(One);
    assertEquals(await newer.result(old.id), 1);
    assertEquals((await newer.stats()).unserved, []);
  });

  it("that stops does not fail runs: another goes on, and what was finished is kept", async () => {
    const done: string[] = [];
    const Flow = defineWorkflow({
      name: "flow",
      handler: async (_: null, step) => {
        await step.run("a", () => done.push("a"), { compensate: () => done.push("undone") });
        return await step.run("b", async ({ signal }) => {
          done.push("b");
          if (done.length === 2) {
            await sleep(rig.clock, 864e5, signal);
            signal.throwIfAborted();
          }
          return done.join("");
        }, { maxRetries: 0 });
      },
    });
    await using rig = await startRig({ jobs: [Flow], shutdownTimeout: "1s" });
    const run = await rig.engine.startWorkflow(Flow, null);
    await until(() => done.length === 2);
    await rig.stop();
    assertEquals((await rig.job(run.jobId))!.state, "pending");
    const other = await rig.add({ jobs: [Flow] });
    assertEquals(await other.result(run.id), "abb");
  });

  it("writes once for each step of a lone run, and shares writes among many", async () => {
    const Five = defineWorkflow({
      name: "five",
      handler: async (_: null, step) => {
        for (let i = 0; i < 5; i++) await step.run(`s${i}`, () => i);
      },
    });
    const writes: number[] = [];
    await using rig = await startRig({
      jobs: [Five],
      concurrency: 100,
      around: async ({ name, args }, proceed) => {
        if (name === "runs.save") writes.push(args[0].length);
        if (name === "runs.save") await nextTurn(); // as a store that is not in memory
        return await proceed();
      },
    });
    await rig.engine.result((await rig.engine.startWorkflow(Five, null)).id);
    assertEquals(writes.splice(0), [1, 1, 1, 1, 1]);
    const runs = await Promise.all(
      Array.from({ length: 100 }, () => rig.engine.startWorkflow(Five, null)),
    );
    await Promise.all(runs.map(({ id }) => rig.engine.result(id)));
    assertEquals(writes.reduce((sum, n) => sum + n), 500);
    assert(writes.length <= 50, `${writes.length} writes for 500 steps`);
  });

  it("holds nothing for 10,000 runs that are asleep, and wakes them without a storm", async () => {
    const Nap = defineWorkflow({
      name: "nap",
      handler: async (_: null, step) => void await step.sleep("nap", "10m"),
    });
    let calls = 0;
    let parked = 0;
    await using rig = await startRig({
      jobs: [Nap],
      concurrency: 50,
      around: async ({ name, args }, proceed) => {
        calls++;
        await nextTurn(); // as a store that is not in memory
        const answer = await proceed();
        if (name === "jobs.settle") parked += args[0].length;
        return answer;
      },
    });
    const before = rig.clock.armed;
    await Promise.all(
      Array.from({ length: 10_000 }, () => rig.engine.startWorkflow(Nap, null)),
    );
    await until(() => parked === 10_000);
    await turns(10);
    assert(rig.clock.armed < before + 10, `${rig.clock.armed} timers, ${before} before`);
    assertEquals((await rig.store.jobs.counts()).running, 0);
    calls = 0;
    await rig.advance("10m");
    await rig.drained();
    assertEquals((await rig.engine.stats()).workflows.completed, 10_000);
    assert(calls < 10_000, `${calls} calls of the store for 10,000 runs`);
  });
});
