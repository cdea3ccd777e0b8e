import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as v from "valibot";
import { memoryStore } from "../../src/store/memory/store.ts";
import type { Store } from "../../src/store/store.ts";
import { defineWorkflow } from "../../src/workflow/definition.ts";
import type { Step } from "../../src/workflow/step.ts";
import { codeOf, errorOf, gate, startRig, turns, until } from "../harness.ts";

const Noop = defineWorkflow({ name: "noop", handler: () => {} });

describe("what is refused", () => {
  it("are definitions that make no sense", async () => {
    const handler = () => {};
    const options = [
      [{ name: "", handler }, "invalid_workflow_name"],
      [{ name: "x".repeat(151), handler }, "invalid_workflow_name"],
      [{ name: "x", version: 0, handler }, "invalid_option"],
      [{ name: "x", version: 1.5, handler }, "invalid_option"],
      [{ name: "x", handler: 7 }, "invalid_option"],
      [{ name: "x", input: {}, handler }, "invalid_option"],
      [{ name: "x", timeout: "soon", handler }, "invalid_duration"],
    ] as const;
    for (const [given, code] of options) {
      assertEquals(await codeOf(() => defineWorkflow(given as never)), code);
    }
  });

  it("is another definition of a known version, but not the same one or another version", async () => {
    await using rig = await startRig({ jobs: [Noop] });
    rig.engine.register(Noop, defineWorkflow({ name: "noop", version: 2, handler: () => {} }));
    const other = defineWorkflow({ name: "noop", handler: () => {} });
    assertEquals(await codeOf(() => rig.engine.register(other)), "duplicate_workflow");
  });

  it("is a job with the name of a run", async () => {
    await using rig = await startRig({ jobs: [Noop] });
    const enqueue = () => rig.engine.enqueue("workflow/noop@1");
    assertEquals(await codeOf(enqueue), "invalid_job_name");
  });

  it("are workflows on a store that keeps none", async () => {
    const without = (clock: Parameters<typeof memoryStore>[0]): Store => {
      const { runs: _, events: __, ...store } = memoryStore(clock);
      return { ...store, onWake: store.onWake };
    };
    await using rig = await startRig({ store: (clock) => without({ clock }) });
    const { engine } = rig;
    assertEquals(await codeOf(() => engine.register(Noop)), "workflows_not_supported");
    assertEquals(await codeOf(() => engine.startWorkflow(Noop, null)), "workflows_not_supported");
    assertEquals(await codeOf(() => engine.publishEvent("x")), "workflows_not_supported");
    assertEquals(await codeOf(() => engine.runs.list()), "workflows_not_supported");
    assertEquals((await engine.stats()).workflows.running, 0);
    const late = rig.make({ jobs: [Noop] });
    assertEquals(await codeOf(() => late.start(rig.store)), "workflows_not_supported");
  });

  it("is what concerns no run, or one that has ended", async () => {
    await using rig = await startRig({ jobs: [Noop] });
    const { engine } = rig;
    const nobody = "run_01jd0gxm6te4fs5b9v3q8n2kzr";
    assertEquals(await engine.runs.get(nobody), null);
    assertEquals(await codeOf(() => engine.runs.get("job_x")), "invalid_id");
    assertEquals(await codeOf(() => engine.runs.timeline(nobody)), "not_found");
    assertEquals(await codeOf(() => engine.runs.cancel(nobody)), "not_found");
    assertEquals(await codeOf(() => engine.triggerEvent(nobody, "x")), "not_found");
    assertEquals(await codeOf(() => engine.result(nobody)), "not_found");
    const run = await engine.startWorkflow(Noop, null);
    await engine.result(run.id);
    assertEquals(await codeOf(() => engine.triggerEvent(run.id, "x")), "wrong_state");
    assertEquals(await codeOf(() => engine.triggerEvent(run.id, "")), "invalid_step");
    assertEquals(
      await codeOf(() => engine.runs.list({ state: "asleep" as never })),
      "invalid_option",
    );
  });

  it("is an input that the schema refuses, at the start", async () => {
    const Checked = defineWorkflow({
      name: "checked",
      input: v.object({ n: v.number() }),
      handler: ({ n }) => n,
    });
    await using rig = await startRig({ jobs: [Checked] });
    const start = () => rig.engine.startWorkflow("checked", { n: "1" });
    assertEquals(await codeOf(start), "invalid_payload");
    const { id } = await rig.engine.startWorkflow(Checked, { n: 1 });
    assertEquals(await rig.engine.result(id), 1);
  });

  it("is a second run with an id or a unique key: the first is returned", async () => {
    await using rig = await startRig({ concurrency: 0, jobs: [Noop] });
    const { engine } = rig;
    const id = "run_01jd0gxm6te4fs5b9v3q8n2kzr";
    const first = await engine.startWorkflow(Noop, null, { id, uniqueKey: "k" });
    assertEquals(first.id, id);
    assertEquals((await engine.startWorkflow(Noop, null, { id })).id, id);
    assertEquals((await engine.startWorkflow(Noop, null, { uniqueKey: "k" })).id, id);
    assertEquals((await engine.stats()).workflows.running, 1);
  });
});

describe("a step that cannot be", () => {
  const run = async (handler: (step: Step) => unknown): Promise<string> => {
    const Flow = defineWorkflow({ name: "flow", handler: (_: null, step) => handler(step) });
    await using rig = await startRig({ jobs: [Flow] });
    const { id } = await rig.engine.startWorkflow(Flow, null);
    return (await errorOf(() => rig.engine.result(id))).message;
  };

  it("fails for a result that is not JSON, and is not done again", async () => {
    let done = 0;
    const message = await run((step) => step.run("a", () => (done++, new Map())));
    assert(message.includes("whose content JSON would drop"), message);
    assertEquals(done, 1);
  });

  it("is refused for what it is given", async () => {
    const calls: ((step: Step) => Promise<unknown>)[] = [
      (step) => step.run("", () => 1),
      (step) => step.run("a", 7 as never),
      (step) => step.run("a", () => 1, { maxRetries: -1 }),
      (step) => step.sleep("a", "soon"),
      (step) => step.sleepUntil("a", "tomorrow"),
      (step) => step.waitForEvent("a", { key: "" }),
      (step) => step.waitForAny([]),
      (step) => step.set("a", () => {}),
      (step) => step.emit(1n),
      (step) => step.fanOut("a", Noop, [null], { concurrency: 0 }),
      (step) => step.runChild("a", "nobody", null),
    ];
    const codes: unknown[] = [];
    await run(async (step) => {
      for (const call of calls) {
        await call(step).catch((error) => codes.push(error.cause?.code ?? error.code));
      }
      throw new Error("seen");
    });
    assertEquals(codes, [
      "invalid_step",
      "invalid_step",
      "invalid_step",
      "invalid_duration",
      "invalid_moment",
      "invalid_step",
      "invalid_step",
      "payload_not_json",
      "payload_not_json",
      "invalid_step",
      "unknown_workflow",
    ]);
  });

  it("is refused after the handler has returned", async () => {
    const end = gate();
    let late: Promise<unknown> | null = null;
    const Flow = defineWorkflow({
      name: "flow",
      handler: (_: null, step) => {
        void end.promise.then(() => {
          late = step.run("late", () => 1);
        });
      },
    });
    await using rig = await startRig({ jobs: [Flow] });
    const { id } = await rig.engine.startWorkflow(Flow, null);
    await rig.engine.result(id);
    end.open();
    await until(() => late !== null);
    assertEquals(await codeOf(() => late), "step_after_end");
  });

  it("that nobody awaits does not take the worker down when it fails", async () => {
    const Flow = defineWorkflow({
      name: "flow",
      handler: async (_: null, step) => {
        void step.run("loose", () => Promise.reject(new Error("loose")), { maxRetries: 0 });
        await step.sleep("nap", "1s");
        return 1;
      },
    });
    await using rig = await startRig({ jobs: [Flow] });
    const { id } = await rig.engine.startWorkflow(Flow, null);
    await turns(50);
    await rig.advance("1s");
    assertEquals(await rig.engine.result(id), 1);
  });
});

describe("a run whose code has changed under it", () => {
  const cases: [string, (step: Step) => Promise<unknown>, string][] = [
    ["another name", (step) => step.run("b", () => 1), 'step 0 of the run was run "a"'],
    ["another kind", (step) => step.sleep("a", 1), 'the code asks for sleep "a"'],
    ["a step less", () => Promise.resolve(), "does not call it any more"],
  ];
  for (const [what, changed, told] of cases) {
    it(`fails as nondeterministic by ${what}, harms nothing, and goes on once it is as before`, async () => {
      let handler = async (step: Step): Promise<unknown> => {
        await step.run("a", () => 1);
        await step.sleep("nap", "1m");
        return "done";
      };
      const original = handler;
      const Flow = defineWorkflow({ name: "flow", handler: (_: null, step) => handler(step) });
      await using rig = await startRig({ jobs: [Flow] });
      const { engine } = rig;
      const run = await engine.startWorkflow(Flow, null);
      await until(async () => (await engine.runs.get(run.id))!.waitingFor.length === 1);
      handler = changed;
      await rig.advance("1m");
      const error = await errorOf(() => engine.result(run.id));
      assert(error.message.includes("(nondeterministic)"), error.message);
      assert(error.message.includes(told), error.message);
      handler = original;
      await engine.jobs.retry(run.jobId);
      assertEquals(await engine.result(run.id), "done");
      assertEquals((await engine.runs.inspectStep(run.id, "a")).attempt, 1);
    });
  }
});
