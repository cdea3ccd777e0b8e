import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { newId } from "../../src/core/id.ts";
import { defineJob } from "../../src/engine/definition.ts";
import { codeOf, errorOf, heldJob, startRig, turns } from "../harness.ts";

const Add = defineJob({ name: "add", handler: ([a, b]: number[]) => ({ sum: a + b }) });
const Fail = defineJob({
  name: "fail",
  maxRetries: 0,
  handler: () => {
    throw new Error("no luck");
  },
});

/** A rig that counts how often its first engine reads jobs. */
async function countingRig() {
  const reads: number[] = [];
  const rig = await startRig({
    concurrency: 0,
    around: ({ name, args }, proceed) => {
      if (name === "jobs.get") reads.push(args[0].length);
      return proceed();
    },
  });
  return { rig, reads };
}

describe("engine.result()", () => {
  it("is what the handler of this process returns, without waiting for a poll", async () => {
    await using rig = await startRig({ jobs: [Add] });
    const { id } = await rig.engine.enqueue(Add, [1, 2]);
    assertEquals(await rig.engine.result(id), { sum: 3 });
  });

  it("is there at once for a job that ended before, whoever else waits", async () => {
    const held = heldJob();
    await using rig = await startRig({ jobs: [Add, Fail, held.definition] });
    const long = await rig.engine.enqueue(held.definition, null);
    const waiting = rig.engine.result(long.id);
    const [done, failed] = await Promise.all([
      rig.engine.enqueue(Add, [1, 2]),
      rig.engine.enqueue(Fail, null),
    ]);
    await rig.reaches(done.id, "completed");
    await rig.reaches(failed.id, "failed");
    await rig.advance("1m"); // the poll for the long one has slowed down
    const before = rig.clock.now();
    assertEquals(await rig.engine.result(done.id), { sum: 3 });
    assertEquals(await codeOf(() => rig.engine.result(failed.id)), "job_failed");
    assertEquals(await codeOf(() => rig.engine.result(newId("job"))), "not_found");
    assertEquals(rig.clock.now(), before);
    held.endAll();
    await waiting;
  });

  it("comes from another process within a poll", async () => {
    await using rig = await startRig({ concurrency: 0, maxPollInterval: "2s" });
    const held = heldJob();
    await rig.add({ jobs: [held.definition] });
    const { id } = await rig.engine.enqueue("held");
    const result = rig.engine.result(id);
    await held.started();
    await rig.advance("1m");
    held.attempts[0].end.open("far away");
    await turns();
    await rig.advance("2s");
    assertEquals(await result, "far away");
  });

  it("throws the last error of a failed job, and the reason of a cancelled one", async () => {
    await using rig = await startRig({ jobs: [Fail] });
    const { id } = await rig.engine.enqueue(Fail, null);
    const error = await errorOf(() => rig.engine.result(id));
    assertEquals(error.code, "job_failed");
    assertMatch(error.message, /fail .*handler_failed.*no luck/);
    const later = await rig.engine.enqueue(Fail, null, { delay: "1h" });
    const waiting = codeOf(() => rig.engine.result(later.id));
    await rig.engine.jobs.cancel(later.id);
    assertEquals(await waiting, "cancelled");
  });

  it("throws not_found for a job that is removed or pruned while it is waited for", async () => {
    await using rig = await startRig({ concurrency: 0 });
    const { id } = await rig.engine.enqueue("x");
    const waiting = codeOf(() => rig.engine.result(id));
    await turns();
    await rig.engine.jobs.remove(id);
    await rig.advance("6s");
    assertEquals(await waiting, "not_found");
  });

  it("gives up after its timeout, and nothing of the wait is left", async () => {
    await using rig = await startRig({ concurrency: 0 });
    const { id } = await rig.engine.enqueue("x");
    const waiting = codeOf(() => rig.engine.result(id, { timeout: "3s" }));
    await rig.advance("2999ms");
    const late = rig.engine.result(id, { timeout: 0 });
    assertEquals(await codeOf(() => (void rig.advance(1), late)), "result_timeout");
    assertEquals(await waiting, "result_timeout");
    assertEquals(
      await codeOf(() => rig.engine.result(id, { timeout: "soon" })),
      "invalid_duration",
    );
    assertEquals(await codeOf(() => rig.engine.result("job_1")), "invalid_id");
  });

  it("rejects with stopped when the engine stops, and for whoever asks after that", async () => {
    let after: Promise<unknown> | undefined;
    await using rig = await startRig({
      concurrency: 0,
      extensions: [{
        name: "late",
        onShutdown: () => {
          after = codeOf(() => rig.engine.result(id));
        },
      }],
    });
    const { id } = await rig.engine.enqueue("x");
    const waiting = codeOf(() => rig.engine.result(id));
    await turns();
    await rig.stop();
    assertEquals([await waiting, await after], ["stopped", "stopped"]);
    assertEquals(await codeOf(() => rig.engine.result(id)), "stopped");
  });

  it("costs one read for any number of waiters of one job", async () => {
    const { rig, reads } = await countingRig();
    await using _ = rig;
    const { id } = await rig.engine.enqueue("add", [1, 2]);
    const waiting = Promise.all(Array.from({ length: 5000 }, () => rig.engine.result(id)));
    await turns();
    assertEquals(reads, [1]);
    await rig.add({ jobs: [Add] });
    await rig.advance("6s");
    assertEquals(new Set((await waiting).map((r) => JSON.stringify(r))).size, 1);
    assert(reads.length <= 5, `${reads.length} reads`);
  });

  it("costs ten reads a poll for 5,000 jobs, however they came", async () => {
    const { rig, reads } = await countingRig();
    await using _ = rig;
    const jobs = await rig.engine.enqueueMany(
      Array.from({ length: 5000 }, (_, n) => ({ job: "add", input: [n, 1] })),
    );
    const waiting = Promise.all(jobs.map(({ id }) => rig.engine.result<{ sum: number }>(id)));
    await turns();
    assertEquals(reads, Array(10).fill(500));
    await rig.advance("1m"); // polls of 1, 2, 4, 5, 5, … seconds
    assert(reads.length <= 160, `${reads.length} reads`);
    await rig.add({ jobs: [Add] });
    await rig.drained();
    await rig.advance("6s");
    assertEquals((await waiting).map((r) => r.sum), jobs.map((_, n) => n + 1));
  });

  it("survives an outage of the store, which is logged once", async () => {
    let down = false;
    await using rig = await startRig({
      concurrency: 0,
      around: ({ name }, proceed) =>
        down && name === "jobs.get" ? Promise.reject(new Error("away")) : proceed(),
    });
    const { id } = await rig.engine.enqueue("add", [1, 2]);
    down = true;
    const waiting = rig.engine.result(id);
    await rig.advance("1m");
    assertEquals(rig.log.count("could not read results"), 1);
    down = false;
    await rig.add({ jobs: [Add] });
    await rig.advance("6s");
    assertEquals(await waiting, { sum: 3 });
  });
});
