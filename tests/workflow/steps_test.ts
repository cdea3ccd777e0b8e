import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { DispatchError } from "../../src/core/errors.ts";
import { snooze } from "../../src/core/outcome.ts";
import { defineWorkflow } from "../../src/workflow/definition.ts";
import type { Step } from "../../src/workflow/step.ts";
import { errorOf, gate, startRig, turns, until } from "../harness.ts";

/** A workflow of what a test says. */
const flow = <Output>(handler: (step: Step) => Output, options: { timeout?: string } = {}) =>
  defineWorkflow({ name: "flow", ...options, handler: (_: null, step) => handler(step) });

/** What a step failed of. */
const causeOf = (error: Error) => (error.cause as { code: string; message: string }).code;

describe("steps", () => {
  it("side by side under one name are numbered, and give their results in order", async () => {
    const Flow = flow((step) =>
      step.parallel("part", [() => 1, () => 2, ({ attempt }) => attempt])
    );
    await using rig = await startRig({ jobs: [Flow] });
    const { id } = await rig.engine.startWorkflow(Flow, null);
    assertEquals(await rig.engine.result(id), [1, 2, 1]);
    const names = (await rig.engine.runs.timeline(id)).map(({ name }) => name);
    assertEquals(names, ["part", "part#2", "part#3"]);
  });

  it("wait for any of several events, for all of them, or for none of them in time", async () => {
    const Flow = flow(async (step) => ({
      any: await step.waitForAny(["a", "b"]),
      all: await step.waitForAll(["a", "c"]),
      none: await step.waitForAll(["c", "d"], { timeout: "1m" }),
    }));
    await using rig = await startRig({ jobs: [Flow] });
    const { engine } = rig;
    const { id } = await engine.startWorkflow(Flow, null);
    await engine.triggerEvent(id, "b", 1);
    for (const [i, name] of ["c", "a", "c"].entries()) await engine.triggerEvent(id, name, i);
    await turns(50);
    await rig.advance("61s");
    assertEquals(await engine.result(id), {
      any: { name: "b", payload: 1 },
      all: { a: 1, c: 0 },
      none: null,
    });
  });

  it("sleep until a moment, and not at all until one that has passed", async () => {
    await using rig = await startRig({ concurrency: 1 });
    const noon = new Date(rig.clock.now() + 36e5);
    const Flow = flow(async (step) => {
      await step.sleepUntil("yesterday", new Date(noon.getTime() - 864e5));
      await step.sleepUntil("noon", noon);
      return await step.now();
    });
    rig.engine.register(Flow);
    const { id } = await rig.engine.startWorkflow(Flow, null);
    await turns(50);
    const [waits] = (await rig.engine.runs.get(id))!.waitingFor;
    assertEquals([waits.step, waits.until], ["noon", noon]);
    await rig.advance("59m");
    await turns(50);
    assertEquals((await rig.engine.runs.get(id))!.state, "running");
    await rig.advance("2m");
    assert(new Date(await rig.engine.result<string>(id)).getTime() >= noon.getTime());
  });

  it("remember times, numbers and ids: a replay gets the same", async () => {
    const seen: unknown[] = [];
    const Flow = flow(async (step) => {
      seen.push(JSON.stringify([await step.now(), await step.random(), await step.id()]));
      await step.sleep("nap", "1m");
    });
    await using rig = await startRig({ jobs: [Flow] });
    const { id } = await rig.engine.startWorkflow(Flow, null);
    await turns(50);
    await rig.advance("61s");
    await rig.engine.result(id);
    assertEquals(seen.length, 2);
    assertEquals(seen[0], seen[1]);
  });

  it("have one key for outside services in all their attempts, and may be put off", async () => {
    const attempts: [number, string][] = [];
    const Flow = flow((step) =>
      step.run("pay", ({ attempt, idempotencyKey }) => {
        attempts.push([attempt, idempotencyKey]);
        if (attempts.length === 1) throw snooze("1m");
        if (attempts.length === 2) throw new Error("no");
        return "paid";
      })
    );
    await using rig = await startRig({ jobs: [Flow] });
    const { id } = await rig.engine.startWorkflow(Flow, null);
    await turns(50);
    await rig.advance("10m");
    assertEquals(await rig.engine.result(id), "paid");
    // A snooze is no attempt.
    assertEquals(attempts, [1, 1, 2].map((attempt) => [attempt, `${id}/0`]));
  });

  it("say by codes why they cannot be", async () => {
    const codes: string[] = [];
    const Flow = flow(async (step) => {
      const note = (error: DispatchError) =>
        codes.push(error.code === "step_failed" ? causeOf(error) : error.code);
      await step.run("map", () => new Map()).catch(note);
      await step.run("slow", () => new Promise(() => {}), { timeout: "1s", maxRetries: 0 })
        .catch(note);
      await step.run("outer", () => step.run("inner", () => 1).catch(note));
    });
    await using rig = await startRig({ jobs: [Flow] });
    const { id } = await rig.engine.startWorkflow(Flow, null);
    await turns(50);
    await rig.advance("10s");
    await rig.engine.result(id);
    assertEquals(codes, ["invalid_result", "timeout", "nested_step"]);
  });

  it("are told of to hooks, as runs are", async () => {
    const told: string[] = [];
    const note = (hook: string) => ({ name }: { name: string }, detail: object = {}) =>
      void told.push(
        [hook, name, ...Object.values(detail).filter((v) => typeof v === "string")].join(" "),
      );
    const Flow = flow(async (step) => {
      await step.run("good", () => 1);
      await step.run("bad", () => Promise.reject(new Error("no")), { maxRetries: 0 });
    });
    await using rig = await startRig({
      jobs: [Flow],
      extensions: [{
        name: "notes",
        onWorkflowStarted: note("started"),
        onWorkflowStepCompleted: note("completed"),
        onWorkflowStepFailed: note("failed"),
        onWorkflowCompleted: note("run completed"),
        onWorkflowFailed: note("run failed"),
      }],
    });
    const { id } = await rig.engine.startWorkflow(Flow, null);
    await errorOf(() => rig.engine.result(id));
    await turns(20);
    assertEquals(told, [
      "started flow",
      "completed flow good",
      "failed flow bad no",
      'run failed flow Step "bad" failed: no',
    ]);
  });
});

describe("children", () => {
  it("of a fan-out run so many at a time", async () => {
    let [running, most] = [0, 0];
    const Child = defineWorkflow({
      name: "child",
      handler: async (n: number, step) => {
        most = Math.max(most, ++running);
        await step.run("work", () => turns(5));
        running--;
        return n;
      },
    });
    const Flow = flow((step) =>
      step.fanOut("all", Child, [0, 1, 2, 3, 4, 5, 6], { concurrency: 3 })
    );
    await using rig = await startRig({ jobs: [Child, Flow], concurrency: 10 });
    const { id } = await rig.engine.startWorkflow(Flow, null);
    assertEquals(await rig.engine.result(id), [0, 1, 2, 3, 4, 5, 6]);
    assertEquals(most, 3);
  });

  it("that run out of time fail the step of their parent, with that code", async () => {
    const Child = defineWorkflow({
      name: "child",
      timeout: "1m",
      handler: (_: null, step) => step.waitForEvent("never"),
    });
    const Flow = flow((step) => step.runChild("slow", Child, null));
    await using rig = await startRig({ jobs: [Child, Flow] });
    const { id } = await rig.engine.startWorkflow(Flow, null);
    await turns(100);
    await rig.advance("5m");
    await errorOf(() => rig.engine.result(id));
    const [step] = await rig.store.runs!.checkpoints([
      { jobId: id.replace("run_", "job_"), after: null, limit: 10, pending: false },
    ]);
    assertEquals(step.map(({ failure }) => failure?.code), ["timeout"]);
  });

  it("go on when their parent fails, and a retry of it takes what they return", async () => {
    const work = gate<number>();
    let [started, broken] = [0, true];
    const Child = defineWorkflow({
      name: "child",
      handler: async (_: null, step) => (started++, await step.run("work", () => work.promise)),
    });
    const Flow = flow(async (step) => {
      const child = step.runChild("child", Child, null);
      await step.run("fragile", () => {
        if (broken) throw new Error("no");
      }, { maxRetries: 0 });
      return await child;
    });
    await using rig = await startRig({ jobs: [Child, Flow] });
    const { engine } = rig;
    const run = await engine.startWorkflow(Flow, null);
    await errorOf(() => engine.result(run.id));
    await until(() => started === 1);
    work.open(7);
    await until(async () => (await engine.stats()).workflows.completed === 1);
    broken = false;
    await engine.jobs.retry(run.jobId);
    assertEquals(await engine.result(run.id), 7);
    assertEquals(started, 1);
  });
});
