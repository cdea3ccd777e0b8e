import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { constant } from "../../src/core/backoff.ts";
import { sleep } from "../../src/core/clock.ts";
import { cancel } from "../../src/core/outcome.ts";
import type { Engine } from "../../src/engine/engine.ts";
import { defineWorkflow } from "../../src/workflow/definition.ts";
import type { Step } from "../../src/workflow/step.ts";
import { codeOf, errorOf, gate, startRig, turns, until } from "../harness.ts";

const state = async (engine: Engine, id: string) => (await engine.runs.get(id))!.state;

describe("runs that are looked at and changed", () => {
  it("show each step with what came of it, and what they wait for until when", async () => {
    const Flow = defineWorkflow({
      name: "flow",
      handler: async (_: null, step) => {
        await step.run("a", () => 1);
        await step.set("progress", 50);
        await step.emit({ text: "half" });
        await step.set("progress", 100);
        await step.emit("done");
        await step.run("bad", () => {
          throw new Error("no");
        }, { maxRetries: 0 }).catch(() => {});
        return await step.waitForEvent("go", { timeout: "1h", key: "k" });
      },
    });
    await using rig = await startRig({ jobs: [Flow] });
    const { engine } = rig;
    const run = await engine.startWorkflow(Flow, null);
    await until(async () => (await engine.runs.get(run.id))!.waitingFor.length > 0);
    const timeline = await engine.runs.timeline(run.id);
    assertEquals(timeline.map(({ name, kind, state, error }) => [name, kind, state, error]), [
      ["a", "run", "completed", null],
      ["progress", "set", "completed", null],
      ["emit", "emit", "completed", null],
      ["progress", "set", "completed", null],
      ["emit#2", "emit", "completed", null],
      ["bad", "run", "failed", "no"],
      ["go", "event", "open", null],
    ]);
    assertEquals(timeline[6].waitingFor, {
      step: "go",
      kind: "event",
      events: ["go"],
      key: "k",
      childRunId: null,
      until: new Date(rig.clock.now() + 36e5),
    });
    assertEquals((await engine.runs.inspectStep(run.id, "a")).result, 1);
    assertEquals(await codeOf(() => engine.runs.inspectStep(run.id, "b")), "not_found");
    assertEquals(await engine.runs.values(run.id), { progress: 100 });
    const messages = await engine.runs.messages(run.id);
    assertEquals(messages.map(({ message }) => message), [{ text: "half" }, "done"]);
    const after = await engine.runs.messages(run.id, { after: messages[0].position });
    assertEquals(after.map(({ message }) => message), ["done"]);
    await engine.publishEvent("go", "now", { key: "k" });
    assertEquals(await engine.result(run.id), "now");
  });

  it("go on from a step: what was called before it is kept", async () => {
    const done: string[] = [];
    const Flow = defineWorkflow({
      name: "flow",
      handler: async (_: null, step) => {
        for (const name of ["a", "b", "c"]) await step.run(name, () => done.push(name));
        return done.length;
      },
    });
    await using rig = await startRig({ jobs: [Flow] });
    const run = await rig.engine.startWorkflow(Flow, null);
    await rig.engine.result(run.id);
    assertEquals(await codeOf(() => rig.engine.runs.replayFrom(run.id, "x")), "not_found");
    assertEquals((await rig.engine.runs.replayFrom(run.id, "b")).state, "running");
    assertEquals(await rig.engine.result(run.id), 5);
    assertEquals(done.join(""), "abcbc");
  });

  it("are retried as a whole: completed steps are kept, the one that failed is tried again", async () => {
    const done: string[] = [];
    let broken = true;
    const Flow = defineWorkflow({
      name: "flow",
      maxRetries: 1,
      backoff: constant("1m"),
      handler: async (_: null, step) => {
        await step.run("a", () => done.push("a"));
        await step.run("b", () => {
          done.push("b");
          if (broken) throw new Error("broken");
        }, { maxRetries: 0 });
      },
    });
    await using rig = await startRig({ jobs: [Flow] });
    const { engine } = rig;
    const run = await engine.startWorkflow(Flow, null);
    await rig.reaches(run.jobId, "retrying");
    await rig.advance("1m");
    assertEquals((await errorOf(() => engine.result(run.id))).code, "run_failed");
    assertEquals(done.join(""), "abb");
    broken = false;
    await engine.jobs.retry(run.jobId);
    await engine.result(run.id);
    assertEquals(done.join(""), "abbb");
    assertEquals(await state(engine, run.id), "completed");
  });

  it("are replayed from the dead letters as new runs", async () => {
    let broken = true;
    const Flow = defineWorkflow({
      name: "flow",
      handler: async (n: number, step) => {
        await step.run("a", () => {
          if (broken) throw new Error("broken");
        }, { maxRetries: 0 });
        return n;
      },
    });
    await using rig = await startRig({ jobs: [Flow] });
    const { engine } = rig;
    const run = await engine.startWorkflow(Flow, 7);
    await errorOf(() => engine.result(run.id));
    broken = false;
    const [letter] = await engine.dlq.list();
    const job = await engine.dlq.replay(letter.id);
    assertEquals(await engine.result(job.id.replace("job_", "run_")), 7);
  });

  it("end when their time is over, asleep or not, and undo what they did", async () => {
    const undone: string[] = [];
    const flow = (name: string, rest: (step: Step) => Promise<unknown>) =>
      defineWorkflow({
        name,
        timeout: "1h",
        handler: async (_: null, step) => {
          await step.run("a", () => 1, { compensate: () => void undone.push(name) });
          await rest(step);
        },
      });
    const Asleep = flow("asleep", (step) => step.sleep("long", "1d"));
    const Busy = flow(
      "busy",
      (step) => step.run("long", ({ signal }) => sleep(rig.clock, 864e5, signal)),
    );
    await using rig = await startRig({ jobs: [Asleep, Busy] });
    const runs = [
      await rig.engine.startWorkflow(Asleep, null),
      await rig.engine.startWorkflow(Busy, null),
    ];
    await turns(50);
    await rig.advance("61m");
    for (const { id, name } of runs) {
      const error = await errorOf(() => rig.engine.result(id));
      assertEquals(error.message.includes("(timeout)"), true, error.message);
      assert(undone.includes(name));
    }
  });

  it("that are cancelled while they execute abort their step, and undo what they did if asked", async () => {
    const undone: string[] = [];
    const aborted = gate();
    const Flow = defineWorkflow({
      name: "flow",
      handler: async (_: null, step) => {
        await step.run("a", () => 1, { compensate: () => void undone.push("a") });
        await step.run("b", async ({ signal }) => {
          await sleep(rig.clock, 864e5, signal);
          aborted.open();
          signal.throwIfAborted();
        });
      },
    });
    await using rig = await startRig({ jobs: [Flow] });
    const { engine } = rig;
    for (const compensate of [false, true]) {
      const run = await engine.startWorkflow(Flow, null);
      await until(async () => (await engine.runs.timeline(run.id)).length === 1);
      await turns(20);
      await engine.runs.cancel(run.id, { compensate });
      await aborted.promise;
      assertEquals(await codeOf(() => engine.result(run.id)), "cancelled");
      assertEquals([await state(engine, run.id), undone.length], ["cancelled", compensate ? 1 : 0]);
    }
  });

  it("that wait are cancelled at once, with their children", async () => {
    const Child = defineWorkflow({
      name: "child",
      handler: (_: null, step) => step.waitForEvent("never"),
    });
    const Parent = defineWorkflow({
      name: "parent",
      handler: (_: null, step) => step.fanOut("children", Child, [null, null, null]),
    });
    await using rig = await startRig({ jobs: [Child, Parent] });
    const { engine } = rig;
    const run = await engine.startWorkflow(Parent, null);
    const children = () => engine.runs.list({ parentRunId: run.id });
    await until(async () => (await children()).filter((r) => r.waitingFor.length > 0).length === 3);
    await engine.runs.cancel(run.id);
    assertEquals((await children()).map(({ state }) => state), Array(3).fill("cancelled"));
    assertEquals(await codeOf(() => engine.runs.cancel(run.id)), "wrong_state");
  });

  it("may cancel themselves", async () => {
    const Flow = defineWorkflow({
      name: "flow",
      handler: async (_: null, step) => {
        await step.run("a", () => {
          throw cancel("not needed");
        });
      },
    });
    await using rig = await startRig({ jobs: [Flow] });
    const run = await rig.engine.startWorkflow(Flow, null);
    assertEquals(await codeOf(() => rig.engine.result(run.id)), "cancelled");
  });

  it("say in the dead letters what is undone and what is not, and go on with that when retried", async () => {
    const undone: string[] = [];
    let stuck = true;
    const Flow = defineWorkflow({
      name: "flow",
      handler: async (_: null, step) => {
        for (const name of ["a", "b", "c"]) {
          await step.run(name, () => name, {
            maxRetries: 0,
            compensate: () => {
              if (name === "b" && stuck) throw new Error("bank is closed");
              undone.push(name);
            },
          });
        }
        throw new Error("no");
      },
    });
    await using rig = await startRig({ jobs: [Flow] });
    const { engine } = rig;
    const run = await engine.startWorkflow(Flow, null);
    await errorOf(() => engine.result(run.id));
    const [letter] = await engine.dlq.list();
    assertEquals(letter.reason, "compensation_failed");
    assertEquals(
      letter.error,
      "Cannot undo b: bank is closed. Undone: c. Not undone: b, a. The run had failed: no",
    );
    stuck = false;
    await engine.jobs.retry(run.jobId);
    assertEquals(await state(engine, run.id), "compensating");
    const error = await errorOf(() => engine.result(run.id));
    assert(error.message.endsWith("no"), error.message);
    assertEquals(undone, ["c", "b", "a"]);
  });
});
