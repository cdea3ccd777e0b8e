import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { constant } from "../../src/core/backoff.ts";
import { discard } from "../../src/core/outcome.ts";
import { defineWorkflow } from "../../src/workflow/definition.ts";
import { codeOf, errorOf, startRig, turns, until } from "../harness.ts";

describe("a run", () => {
  it("does its steps in order and returns what its handler returns", async () => {
    const done: string[] = [];
    const Order = defineWorkflow({
      name: "order",
      handler: async (input: { id: number }, step) => {
        const a = await step.run("validate", () => (done.push("validate"), input.id + 1));
        const b = await step.run("charge", () => (done.push("charge"), a * 2));
        return { b };
      },
    });
    await using rig = await startRig({ jobs: [Order] });
    const run = await rig.engine.startWorkflow(Order, { id: 20 });
    assertEquals([run.name, run.version, run.state, run.input], ["order", 1, "running", {
      id: 20,
    }]);
    assertEquals(await rig.engine.result(run.id), { b: 42 });
    assertEquals(done, ["validate", "charge"]);
    const ended = (await rig.engine.runs.get(run.id))!;
    assertEquals([ended.state, ended.output], ["completed", { b: 42 }]);
    const timeline = await rig.engine.runs.timeline(run.id);
    assertEquals(timeline.map(({ name, state, result }) => [name, state, result]), [
      ["validate", "completed", 21],
      ["charge", "completed", 42],
    ]);
  });

  it("sleeps without holding a slot, a lease or a timer, and does no step again", async () => {
    let steps = 0;
    const Nap = defineWorkflow({
      name: "nap",
      handler: async (_: null, step) => {
        await step.run("before", () => ++steps);
        await step.sleep("a while", "30m");
        return await step.run("after", () => ++steps);
      },
    });
    await using rig = await startRig({ jobs: [Nap], concurrency: 1 });
    const run = await rig.engine.startWorkflow(Nap, null);
    await until(async () => (await rig.engine.runs.get(run.id))!.waitingFor.length === 1);
    const [waiting] = (await rig.engine.runs.get(run.id))!.waitingFor;
    assertEquals([waiting.kind, waiting.step], ["sleep", "a while"]);
    assertEquals(waiting.until!.getTime(), rig.clock.now() + 30 * 60_000);
    assertEquals((await rig.store.jobs.counts()).running, 0);
    await rig.advance("29m");
    assertEquals(steps, 1);
    await rig.advance("2m");
    assertEquals(await rig.engine.result(run.id), 2);
  });

  it("waits for an event, before, while and after it parks", async () => {
    const Wait = defineWorkflow({
      name: "wait",
      handler: async (_: null, step) => [
        await step.waitForEvent("a"),
        await step.waitForEvent("b", { timeout: "1h" }),
        await step.waitForEvent("c", { timeout: "1h" }),
      ],
    });
    await using rig = await startRig({ jobs: [Wait] });
    const { engine } = rig;
    const run = await engine.startWorkflow(Wait, null, { delay: "1s" });
    await engine.triggerEvent(run.id, "a", 1);
    await rig.advance("1s");
    await until(async () => (await engine.runs.get(run.id))!.waitingFor[0]?.step === "b");
    await engine.triggerEvent(run.id, "b", { two: 2 });
    await until(async () => (await engine.runs.get(run.id))!.waitingFor[0]?.step === "c");
    await rig.advance("61m");
    assertEquals(await engine.result(run.id), [1, { two: 2 }, null]);
  });

  it("tries a step again, and remembers the failure of one that failed for good", async () => {
    let tries = 0;
    const Flaky = defineWorkflow({
      name: "flaky",
      backoff: constant("1m"),
      handler: async (_: null, step) => {
        const ok = await step.run("flaky", ({ attempt }) => {
          tries++;
          if (attempt < 3) throw new Error("not yet");
          return attempt;
        });
        const error = await step.run("hopeless", () => {
          tries++;
          throw discard("never");
        }).catch((error) => error);
        await step.sleep("then", "1m");
        return [ok, error.message, error.code];
      },
    });
    await using rig = await startRig({ jobs: [Flaky] });
    const run = await rig.engine.startWorkflow(Flaky, null);
    await turns(40);
    assertEquals((await rig.engine.runs.get(run.id))!.waitingFor[0].kind, "retry");
    for (let i = 0; i < 4; i++) {
      await rig.advance("1m");
      await turns(40);
    }
    const result = await rig.engine.result(run.id);
    assertEquals(result, [3, 'Step "hopeless" failed: never', "step_failed"]);
    assertEquals(tries, 4);
  });

  it("runs branches side by side, in the same order again after a crash", async () => {
    const Branches = defineWorkflow({
      name: "branches",
      handler: async (_: null, step) => {
        const branch = async (n: number) => {
          await step.run("first", () => n);
          await step.sleep("pause", n * 1000);
          return await step.run("second", () => n * 10);
        };
        return await Promise.all([3, 1, 2].map(branch));
      },
    });
    await using rig = await startRig({ jobs: [Branches] });
    const run = await rig.engine.startWorkflow(Branches, null);
    for (let i = 0; i < 5; i++) {
      await turns(60);
      await rig.advance("1s");
    }
    assertEquals(await rig.engine.result(run.id), [30, 10, 20]);
  });

  it("runs children and gets their outputs and failures", async () => {
    const Child = defineWorkflow({
      name: "child",
      handler: async (n: number, step) => {
        if (n < 0) throw new Error("negative");
        return await step.run("double", () => n * 2);
      },
    });
    const Parent = defineWorkflow({
      name: "parent",
      handler: async (_: null, step) => {
        const one = await step.runChild("one", Child, 1);
        const many = await step.fanOut("many", Child, [2, 3, 4], { concurrency: 2 });
        const error = await step.runChild("bad", Child, -1).catch((error) => error.message);
        const id = await step.spawnChild("aside", Child, 5);
        return { one, many, error, id };
      },
    });
    await using rig = await startRig({ jobs: [Child, Parent] });
    const run = await rig.engine.startWorkflow(Parent, null);
    const result = await rig.engine.result<{ id: string }>(run.id);
    assertEquals({ ...result, id: null }, {
      one: 2,
      many: [4, 6, 8],
      error: 'Step "bad" failed: negative',
      id: null,
    });
    assertEquals(await rig.engine.result(result.id), 10);
    const children = await rig.engine.runs.list({ parentRunId: run.id });
    assertEquals(children.length, 6);
    assertEquals((await rig.engine.runs.get(result.id))!.parentRunId, run.id);
  });

  it("undoes its steps in reverse order when it fails for good", async () => {
    const undone: string[] = [];
    let broken = 2;
    const Order = defineWorkflow({
      name: "order",
      backoff: constant("1s"),
      handler: async (_: null, step) => {
        const undo = (what: string) => () => {
          if (what === "b" && broken-- > 0) throw new Error("cannot yet");
          undone.push(what);
        };
        await step.run("a", () => "a", { compensate: undo("a") });
        await step.run("b", () => "b", { compensate: undo("b") });
        await step.run("c", () => "c");
        await step.run("d", () => {
          throw new Error("no stock");
        }, { maxRetries: 0, compensate: undo("d") });
      },
    });
    await using rig = await startRig({ jobs: [Order] });
    const run = await rig.engine.startWorkflow(Order, null);
    await turns(100);
    assertEquals((await rig.engine.runs.get(run.id))!.state, "compensating");
    for (let i = 0; i < 4; i++) {
      await rig.advance("1s");
      await turns(50);
    }
    const error = await errorOf(() => rig.engine.result(run.id));
    assertEquals(error.code, "run_failed");
    assertEquals(undone, ["b", "a"]);
    const ended = (await rig.engine.runs.get(run.id))!;
    assertEquals([ended.state, ended.error], ["failed", 'Step "d" failed: no stock']);
    assertEquals(await rig.engine.dlq.count(), 1);
  });

  it("refuses a step inside a step, also behind an await", async () => {
    const Nested = defineWorkflow({
      name: "nested",
      handler: async (_: null, step) =>
        await step.run("outer", async () => {
          await Promise.resolve();
          return await step.run("inner", () => 1);
        }, { maxRetries: 0 }),
    });
    await using rig = await startRig({ jobs: [Nested] });
    const run = await rig.engine.startWorkflow(Nested, null);
    const error = await errorOf(() => rig.engine.result(run.id));
    assertEquals(error.message.includes("inside another step"), true, error.message);
    assertEquals(await codeOf(() => rig.engine.startWorkflow("nestd")), "unknown_workflow");
  });
});
