import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { Engine } from "../../src/engine/engine.ts";
import { codeOf, Noop, startRig, turns } from "../harness.ts";

describe("an engine outside its life", () => {
  const uses: [string, (engine: Engine) => unknown][] = [
    ["enqueue", (e) => e.enqueue("x")],
    ["enqueueMany", (e) => e.enqueueMany([{ job: "x" }])],
    ["enqueueMany of nothing", (e) => e.enqueueMany([])],
    ["result", (e) => e.result("job_01jd0gxm6te4fs5b9v3q8n2kzr")],
    ["stats", (e) => e.stats()],
    ["withScope().enqueue", (e) => e.withScope({ appId: "a" }).enqueue("x")],
    ["jobs.get", (e) => e.jobs.get("job_01jd0gxm6te4fs5b9v3q8n2kzr")],
    ["jobs.list", (e) => e.jobs.list()],
    ["jobs.counts", (e) => e.jobs.counts()],
    ["jobs.cancel", (e) => e.jobs.cancel("job_01jd0gxm6te4fs5b9v3q8n2kzr")],
    ["jobs.retry", (e) => e.jobs.retry("job_01jd0gxm6te4fs5b9v3q8n2kzr")],
    ["jobs.remove", (e) => e.jobs.remove("job_01jd0gxm6te4fs5b9v3q8n2kzr")],
    ["dlq.get", (e) => e.dlq.get("dlq_01jd0gxm6te4fs5b9v3q8n2kzr")],
    ["dlq.list", (e) => e.dlq.list()],
    ["dlq.count", (e) => e.dlq.count()],
    ["dlq.replay", (e) => e.dlq.replay("dlq_01jd0gxm6te4fs5b9v3q8n2kzr")],
    ["dlq.replayAll", (e) => e.dlq.replayAll()],
    ["dlq.purge", (e) => e.dlq.purge()],
    ["startWorkflow", (e) => e.startWorkflow("x")],
    ["triggerEvent", (e) => e.triggerEvent("run_01jd0gxm6te4fs5b9v3q8n2kzr", "x")],
    ["publishEvent", (e) => e.publishEvent("x")],
    ["runs.get", (e) => e.runs.get("run_01jd0gxm6te4fs5b9v3q8n2kzr")],
    ["runs.list", (e) => e.runs.list()],
    ["runs.timeline", (e) => e.runs.timeline("run_01jd0gxm6te4fs5b9v3q8n2kzr")],
    ["runs.cancel", (e) => e.runs.cancel("run_01jd0gxm6te4fs5b9v3q8n2kzr")],
    ["queues.list", (e) => e.queues.list()],
    ["queues.pause", (e) => e.queues.pause("q")],
    ["queues.resume", (e) => e.queues.resume("q")],
    ["queues.configure", (e) => e.queues.configure("q", {})],
  ];
  for (const [name, use] of uses) {
    it(`rejects ${name} with not_started before, and with stopped after it`, async () => {
      await using rig = await startRig({ concurrency: 0 });
      const engine = rig.make({ concurrency: 0 });
      // A promise that rejects: nothing may throw where a promise is awaited later.
      assertEquals(await codeOf(() => Promise.resolve(use(engine))), "not_started");
      let threw = true;
      const promise = use(engine) as Promise<unknown>;
      promise.catch(() => (threw = false));
      await turns(1);
      assertEquals(threw, false);
      await rig.stop();
      assertEquals(await codeOf(() => use(rig.engine)), "stopped");
    });
  }

  it("does not start again", async () => {
    await using rig = await startRig();
    await rig.stop();
    assertEquals(await codeOf(() => rig.engine.start(rig.store)), "stopped");
    const fresh = rig.make();
    await fresh.stop();
    assertEquals(await codeOf(() => fresh.start(rig.store)), "stopped");
  });

  it("starts once, however often it is asked to", async () => {
    await using rig = await startRig({ jobs: [Noop] });
    await Promise.all([rig.engine.start(rig.store), rig.engine.start(rig.store)]);
    const { id } = await rig.engine.enqueue(Noop, undefined);
    assertEquals((await rig.reaches(id, "completed")).attempt, 1);
  });

  it("ends a subscription", async () => {
    await using rig = await startRig();
    const events = rig.engine.subscribe();
    const end = events.next();
    await rig.stop();
    assertEquals((await end).done, true);
    assertEquals((await rig.engine.subscribe().next()).done, true);
  });
});
