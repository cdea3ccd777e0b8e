import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { constant } from "../../src/core/backoff.ts";
import type { DispatchError } from "../../src/core/errors.ts";
import { newId } from "../../src/core/id.ts";
import { discard } from "../../src/core/outcome.ts";
import { defineJob } from "../../src/engine/definition.ts";
import { aborted, codeOf, gate, heldJob, Noop, startRig, turns, until } from "../harness.ts";

const HEARTBEAT = { heartbeatInterval: "10s", leaseDuration: "30s" };

/** A job that ends when its signal aborts, with what `otherwise` makes of it. */
function obedient(
  otherwise: (reason: DispatchError) => unknown = (reason) => Promise.reject(reason),
) {
  const reasons: DispatchError[] = [];
  const definition = defineJob({
    name: "obedient",
    backoff: constant(0),
    handler: (_: null, job) =>
      aborted(job.signal).catch((reason) => (reasons.push(reason), otherwise(reason))),
  });
  return { definition, reasons };
}

describe("engine.jobs.cancel()", () => {
  it("cancels a job that waits, at once and for good", async () => {
    await using rig = await startRig({ jobs: [Noop] });
    const { id } = await rig.engine.enqueue(Noop, undefined, { delay: "1m" });
    const job = await rig.engine.jobs.cancel(id);
    assertEquals(job.state, "cancelled");
    assert(job.completedAt !== null);
    await rig.advance("1h");
    assertEquals((await rig.job(id))?.attempt, 0);
    assertEquals(await codeOf(() => rig.engine.jobs.cancel(id)), "wrong_state");
  });

  it("cancels a job that waits for its retry", async () => {
    const Flaky = defineJob({
      name: "flaky",
      handler: () => {
        throw new Error("no");
      },
    });
    await using rig = await startRig({ jobs: [Flaky] });
    const { id } = await rig.engine.enqueue(Flaky, null);
    await rig.reaches(id, "retrying");
    assertEquals((await rig.engine.jobs.cancel(id)).state, "cancelled");
    await rig.advance("1h");
    assertEquals((await rig.job(id))?.attempt, 1);
  });

  it("aborts a job that runs in this process at once", async () => {
    const { definition, reasons } = obedient();
    await using rig = await startRig({ jobs: [definition], ...HEARTBEAT });
    const { id } = await rig.engine.enqueue(definition, null);
    await rig.reaches(id, "running");
    await rig.engine.jobs.cancel(id);
    const job = await rig.reaches(id, "cancelled"); // without any time passing
    assertEquals(reasons.map((reason) => reason.code), ["cancelled"]);
    assertEquals(job.retryCount, 0);
    assertEquals(await rig.engine.dlq.count(), 0);
  });

  it("aborts a job that runs in another process within a heartbeat", async () => {
    const { definition, reasons } = obedient();
    await using rig = await startRig({ jobs: [definition], ...HEARTBEAT });
    const other = await rig.add({ concurrency: 0 });
    const { id } = await other.enqueue("obedient");
    await rig.reaches(id, "running");
    assertEquals((await other.jobs.cancel(id)).state, "running");
    await turns();
    assertEquals(reasons.length, 0);
    await rig.advance("11s");
    await rig.reaches(id, "cancelled");
    assertEquals(reasons[0].code, "cancelled");
  });

  it("is not undone by a discard or a failure on the way out, and no hook tells of either", async () => {
    for (const otherwise of [discard("no"), new Error("no")]) {
      const told: string[] = [];
      const { definition } = obedient(() => Promise.reject(otherwise));
      const hook = (name: string) => () => void told.push(name);
      await using rig = await startRig({
        jobs: [definition],
        extensions: [{
          name: "spy",
          onJobFailed: hook("failed"),
          onJobDlq: hook("dlq"),
          onJobRetrying: hook("retrying"),
        }],
      });
      const { id } = await rig.engine.enqueue(definition, null);
      await rig.reaches(id, "running");
      await rig.engine.jobs.cancel(id);
      await rig.reaches(id, "cancelled");
      assertEquals(await codeOf(() => rig.engine.result(id)), "cancelled");
      assertEquals([told, await rig.engine.dlq.count()], [[], 0]);
    }
  });

  it("by another process stands against a failure here, and nobody is told of a dead letter", async () => {
    const told: string[] = [];
    const hook = (name: string) => () => void told.push(name);
    const held = heldJob("fails", { maxRetries: 0 });
    await using rig = await startRig({
      jobs: [held.definition],
      ...HEARTBEAT,
      extensions: [{ name: "spy", onJobFailed: hook("failed"), onJobDlq: hook("dlq") }],
    });
    const other = await rig.add({ concurrency: 0 });
    const { id } = await rig.engine.enqueue(held.definition, null);
    const { end } = await held.started();
    const result = codeOf(() => rig.engine.result(id));
    await other.jobs.cancel(id); // not known here before the next heartbeat
    end.open(Promise.reject(new Error("no")));
    await rig.reaches(id, "cancelled");
    assertEquals([await result, told, await rig.engine.dlq.count()], ["cancelled", [], 0]);
  });

  it("is waited out for one lease with a handler that ignores it", async () => {
    const held = heldJob();
    await using rig = await startRig({ jobs: [held.definition], ...HEARTBEAT });
    const { id } = await rig.engine.enqueue(held.definition, null);
    const { job, end } = await held.started();
    void job.signal;
    await rig.engine.jobs.cancel(id);
    await rig.advance("29s");
    assertEquals((await rig.job(id))?.state, "running");
    await rig.advance("1s");
    await rig.reaches(id, "cancelled");
    end.open("late");
    await turns();
    assertEquals((await rig.job(id))?.result, null);
  });

  it("loses against a handler that never looked and completes", async () => {
    const held = heldJob();
    await using rig = await startRig({ jobs: [held.definition], ...HEARTBEAT });
    const { id } = await rig.engine.enqueue(held.definition, null);
    const { end } = await held.started();
    await rig.engine.jobs.cancel(id);
    end.open("done");
    assertEquals((await rig.reaches(id, "completed")).result, "done");
  });

  it("races the completion to one end, whichever it is", async () => {
    for (let delay = 0; delay < 12; delay++) {
      const held = heldJob();
      await using rig = await startRig({ jobs: [held.definition] });
      const { id } = await rig.engine.enqueue(held.definition, null);
      const { end } = await held.started();
      end.open("done");
      for (let i = 0; i < delay; i++) await undefined;
      const cancelled = await rig.engine.jobs.cancel(id).then(() => true, () => false);
      const job = await rig.reaches(id, "completed");
      assertEquals(job.result, "done");
      assertEquals(await rig.engine.result(id), "done", `${delay} ${cancelled}`);
    }
  });

  it("takes back a job that was claimed ahead before its handler is called", async () => {
    const running = gate();
    const called: number[] = [];
    const Quick = defineJob({
      name: "quick",
      handler: async (n: number) => {
        called.push(n);
        if (n === 100) await running.promise;
      },
    });
    await using rig = await startRig({ jobs: [Quick], concurrency: 1 });
    await rig.engine.enqueueMany(Array.from({ length: 50 }, (_, n) => ({ job: Quick, input: n })));
    await rig.drained(); // short jobs: from now on many are claimed ahead
    const jobs = await rig.engine.enqueueMany(
      Array.from({ length: 20 }, (_, n) => ({ job: Quick, input: 100 + n })),
    );
    await rig.reaches(jobs[0].id, "running");
    const ahead = jobs[5];
    await until(async () => (await rig.job(ahead.id))?.state === "running");
    await rig.engine.jobs.cancel(ahead.id);
    await rig.reaches(ahead.id, "cancelled");
    running.open();
    await rig.drained();
    assertEquals(called.includes(105), false);
    assertEquals(called.length, 50 + 19);
  });

  it("says what is wrong with an id", async () => {
    await using rig = await startRig();
    assertEquals(await codeOf(() => rig.engine.jobs.cancel("nonsense")), "invalid_id");
    assertEquals(await codeOf(() => rig.engine.jobs.cancel(newId("job"))), "not_found");
  });
});
