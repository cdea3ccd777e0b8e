import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { constant } from "../../src/core/backoff.ts";
import type { DispatchError } from "../../src/core/errors.ts";
import { snooze } from "../../src/core/outcome.ts";
import { defineJob } from "../../src/engine/definition.ts";
import { timeout } from "../../src/engine/middleware/timeout.ts";
import { aborted, heldJob, startRig, turns } from "../harness.ts";

const LEASE = { leaseDuration: "30s", heartbeatInterval: "10s" };

describe("a job's timeout", () => {
  it("aborts the signal with code timeout, and the attempt counts as failed", async () => {
    const reasons: DispatchError[] = [];
    const Slow = defineJob({
      name: "slow",
      timeout: "5s",
      maxRetries: 1,
      backoff: constant("1s"),
      handler: (_: null, job) =>
        aborted(job.signal).catch((reason) => (reasons.push(reason), reason)),
    });
    await using rig = await startRig({ jobs: [Slow] });
    const { id } = await rig.engine.enqueue(Slow, null);
    await rig.reaches(id, "running");
    await rig.advance("4999ms");
    assertEquals((await rig.job(id))?.state, "running");
    await rig.advance("1ms");
    const job = await rig.reaches(id, "retrying");
    assertEquals([job.retryCount, job.attempt], [1, 1]);
    assertMatch(job.lastError ?? "", /longer than its limit of 5000 ms/);
    await rig.advance("10s");
    await rig.reaches(id, "failed");
    const [letter] = await rig.engine.dlq.list();
    assertEquals(letter.reason, "timeout");
    assertEquals(reasons.map((reason) => reason.code), ["timeout", "timeout"]);
  });

  it("holds the retry back until the handler has let go", async () => {
    const held = heldJob("held", { timeout: "1s", backoff: constant(1) });
    await using rig = await startRig({ jobs: [held.definition], ...LEASE });
    const { id } = await rig.engine.enqueue(held.definition, null);
    const first = await held.started();
    assert(!first.job.signal.aborted);
    await rig.advance("25s"); // long after the limit, within the grace
    assert(first.job.signal.aborted);
    assertEquals([held.attempts.length, (await rig.job(id))?.state], [1, "running"]);
    first.end.open("too late");
    await rig.reaches(id, "retrying");
    await rig.advance(1);
    (await held.started(2)).end.open("in time");
    assertEquals((await rig.reaches(id, "completed")).result, "in time");
  });

  it("fences off a handler that ignores it, whose late result changes nothing", async () => {
    const held = heldJob("held", { timeout: "1s", backoff: constant(0) });
    await using rig = await startRig({ jobs: [held.definition], concurrency: 1, ...LEASE });
    const { id } = await rig.engine.enqueue(held.definition, null);
    const first = await held.started();
    await rig.advance("31s"); // the limit and the grace of one lease
    const second = await held.started(2);
    assertEquals(second.job.attempt, 2);
    assertEquals(rig.log.count("ignored its signal"), 1);
    first.end.open("late");
    await turns();
    assertEquals((await rig.job(id))?.state, "running");
    second.end.open("right");
    assertEquals((await rig.reaches(id, "completed")).result, "right");
  });

  it("does not count when the handler is quicker, and leaves no timer", async () => {
    const Quick = defineJob({ name: "quick", timeout: "1h", handler: () => "ok" });
    await using rig = await startRig({ jobs: [Quick] });
    const { id } = await rig.engine.enqueue(Quick, null);
    await rig.reaches(id, "completed");
    await rig.advance("2h");
    assertEquals((await rig.job(id))?.state, "completed");
  });

  it("lets a snooze that a handler throws on its way out stand", async () => {
    const Snoozer = defineJob({
      name: "snoozer",
      timeout: "1s",
      handler: (_: null, job) =>
        aborted(job.signal).catch(() => {
          throw snooze("1h");
        }),
    });
    await using rig = await startRig({ jobs: [Snoozer] });
    const { id } = await rig.engine.enqueue(Snoozer, null);
    await rig.reaches(id, "running");
    await rig.advance("1s");
    const job = await rig.reaches(id, "pending");
    assertEquals([job.attempt, job.retryCount], [0, 0]);
  });
});

describe("timeout() middleware", () => {
  for (
    const [what, own, limit, expected] of [
      ["limits jobs that have no timeout of their own", 0, "2s", 2000],
      ["limits jobs whose timeout is longer", "1h", "2s", 2000],
      ["leaves a shorter timeout of the job alone", "1s", "2s", 1000],
      ["limits nothing at 0", "3s", 0, 3000],
    ] as const
  ) {
    it(what, async () => {
      const held = heldJob("held", { timeout: own, maxRetries: 0 });
      await using rig = await startRig({ jobs: [held.definition], middleware: [timeout(limit)] });
      await rig.engine.enqueue(held.definition, null);
      const { job, end } = await held.started();
      void job.signal;
      await rig.advance(expected - 1);
      assertEquals(job.signal.aborted, false);
      await rig.advance(1);
      assertEquals((job.signal.reason as DispatchError).code, "timeout");
      end.open(undefined);
    });
  }
});
