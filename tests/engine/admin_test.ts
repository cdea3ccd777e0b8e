import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { newId } from "../../src/core/id.ts";
import { defineJob } from "../../src/engine/definition.ts";
import type { EnqueueOptions } from "../../src/engine/enqueue.ts";
import type { JobFilter } from "../../src/engine/jobs.ts";
import { codeOf, heldJob, Noop, noops, startRig } from "../harness.ts";

/** A job that fails for good as long as it is told to. */
function breakable() {
  const broken = { now: true };
  const definition = defineJob({
    name: "breakable",
    maxRetries: 0,
    handler: (input: unknown) => {
      if (broken.now) throw new Error("broken");
      return input;
    },
  });
  return { definition, broken };
}

describe("engine.jobs", () => {
  it("lists the newest first, in pages that fit together", async () => {
    await using rig = await startRig({ concurrency: 0 });
    const jobs = await rig.engine.enqueueMany(noops(25));
    const newest = jobs.map(({ id }) => id).reverse();
    const ids: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await rig.engine.jobs.list({ limit: 10, cursor });
      ids.push(...page.map(({ id }) => id));
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    assertEquals(ids, newest);
    const page = await rig.engine.jobs.list({ limit: 5, offset: 20 });
    assertEquals([page.map(({ id }) => id), page.nextCursor], [newest.slice(20), null]);
    assertEquals(JSON.stringify(page).startsWith("["), true);
  });

  it("narrows a list by state, queue and name", async () => {
    await using rig = await startRig({ jobs: [Noop] });
    await rig.engine.enqueueMany([...noops(2), ...noops(3, { queue: "q" })]);
    await rig.engine.enqueue("other", null, { queue: "q" });
    await rig.advance(1);
    const count = async (filter: JobFilter) => (await rig.engine.jobs.list(filter)).length;
    assertEquals(await count({ state: "completed" }), 2);
    assertEquals(await count({ queue: "q" }), 4);
    assertEquals(await count({ name: "noop", queue: "q", state: "pending" }), 3);
    assertEquals(await count({ name: "nobody" }), 0);
  });

  it("refuses filters and pages that make no sense", async () => {
    await using rig = await startRig();
    const bad: [unknown, string][] = [
      [{ limit: 0 }, "invalid_option"],
      [{ limit: 1001 }, "invalid_option"],
      [{ limit: "10" }, "invalid_option"],
      [{ limit: Symbol("s") }, "invalid_option"],
      [{ offset: -1 }, "invalid_option"],
      [{ offset: 2 ** 60 }, "invalid_option"],
      [{ state: "done" }, "invalid_option"],
      [{ state: 10n }, "invalid_option"],
      [{ queue: "" }, "invalid_queue"],
      [{ name: "" }, "invalid_job_name"],
    ];
    for (const [filter, code] of bad) {
      assertEquals(await codeOf(() => rig.engine.jobs.list(filter as JobFilter)), code);
    }
  });

  it("gets one job, or null", async () => {
    await using rig = await startRig({ concurrency: 0 });
    const job = await rig.engine.enqueue("x", { a: [1] });
    assertEquals(await rig.engine.jobs.get(job.id), job);
    assertEquals(await rig.engine.jobs.get(newId("job")), null);
    assertEquals(await codeOf(() => rig.engine.jobs.get("dlq_x")), "invalid_id");
  });

  it("retries a failed job with all its retries, and marks its dead letter", async () => {
    const { definition, broken } = breakable();
    await using rig = await startRig({ jobs: [definition] });
    const { id } = await rig.engine.enqueue(definition, "in");
    await rig.reaches(id, "failed");
    broken.now = false;
    assertEquals((await rig.engine.jobs.retry(id)).state, "pending");
    assertEquals((await rig.reaches(id, "completed")).result, "in");
    const [letter] = await rig.engine.dlq.list();
    assert(letter.replayedAt !== null);
    assertEquals(await codeOf(() => rig.engine.jobs.retry(id)), "wrong_state");
    assertEquals(await codeOf(() => rig.engine.jobs.retry(newId("job"))), "not_found");
  });

  it("does not retry over a job that holds the unique key by now", async () => {
    const { definition } = breakable();
    await using rig = await startRig({ jobs: [definition] });
    const { id } = await rig.engine.enqueue(definition, 1, { uniqueKey: "k" });
    await rig.reaches(id, "failed");
    await rig.engine.enqueue(definition, 2, { uniqueKey: "k", delay: "1h" });
    assertEquals(await codeOf(() => rig.engine.jobs.retry(id)), "unique_conflict");
    const [letter] = await rig.engine.dlq.list();
    assertEquals(await codeOf(() => rig.engine.dlq.replay(letter.id)), "unique_conflict");
  });

  it("removes what does not run", async () => {
    const held = heldJob();
    await using rig = await startRig({ jobs: [held.definition] });
    const waiting = await rig.engine.enqueue("elsewhere");
    await rig.engine.jobs.remove(waiting.id);
    assertEquals(await rig.job(waiting.id), null);
    assertEquals(await codeOf(() => rig.engine.jobs.remove(waiting.id)), "not_found");
    const { id } = await rig.engine.enqueue(held.definition, null);
    await held.started();
    assertEquals(await codeOf(() => rig.engine.jobs.remove(id)), "wrong_state");
    held.endAll();
  });
});

describe("engine.dlq", () => {
  it("replays a letter once, as a new job with everything the old one had", async () => {
    const { definition, broken } = breakable();
    await using rig = await startRig({ jobs: [definition], queues: ["default", "q"] });
    const options: EnqueueOptions = {
      queue: "q",
      priority: 3,
      timeout: 5000,
      maxRetries: 0,
      tags: ["t"],
      scope: { appId: "a" },
    };
    const dead = await rig.engine.enqueue(definition, { n: 1 }, options);
    await rig.reaches(dead.id, "failed");
    const [letter] = await rig.engine.dlq.list();
    assertEquals(await rig.engine.dlq.get(letter.id), letter);
    broken.now = false;
    const [first, second] = await Promise.allSettled([
      rig.engine.dlq.replay(letter.id),
      rig.engine.dlq.replay(letter.id),
    ]);
    assert(first.status === "fulfilled" && second.status === "rejected");
    assertEquals(second.reason.code, "wrong_state");
    const job = await rig.reaches(first.value.id, "completed");
    assert(job.id !== dead.id);
    const { queue, priority, timeout, maxRetries, tags, scope } = job;
    const copied: EnqueueOptions = { queue, priority, timeout, maxRetries, tags, scope };
    assertEquals(copied, options);
    assertEquals(job.payload, { n: 1 });
    assertEquals(await rig.engine.dlq.count({ replayed: false }), 0);
  });

  it("replays all that were not replayed, past those that cannot be", async () => {
    const { definition, broken } = breakable();
    await using rig = await startRig({ jobs: [definition] });
    await rig.engine.enqueueMany(
      Array.from({ length: 1200 }, (_, n) => ({ job: definition, input: n })),
    );
    await rig.drained();
    const { id } = await rig.engine.enqueue(definition, 0, { uniqueKey: "k" });
    await rig.reaches(id, "failed");
    await rig.engine.enqueue(definition, 0, { uniqueKey: "k", delay: "1h" });
    broken.now = false;
    await rig.engine.dlq.replay((await rig.engine.dlq.list({ limit: 1, offset: 5 }))[0].id);
    assertEquals(await rig.engine.dlq.replayAll(), { replayed: 1199, errors: 1 });
    assertEquals(await rig.engine.dlq.replayAll(), { replayed: 0, errors: 1 });
    assertEquals(await rig.engine.dlq.count(), 1201);
  });

  it("counts and purges by queue, name, age and replay", async () => {
    const { definition } = breakable();
    await using rig = await startRig({ jobs: [definition], queues: ["a", "b"] });
    for (const queue of ["a", "a", "b"]) {
      await rig.engine.enqueue(definition, null, { queue });
      await rig.drained();
      await rig.advance("1h");
    }
    const { dlq } = rig.engine;
    assertEquals(await dlq.count(), 3);
    assertEquals(await dlq.count({ queue: "a" }), 2);
    assertEquals(await dlq.count({ olderThan: "90m" }), 2);
    assertEquals(await dlq.count({ jobName: "x" }), 0);
    assertEquals(await dlq.purge({ queue: "a", olderThan: "150m" }), 1);
    assertEquals(await dlq.purge(), 2);
    assertEquals([await dlq.count(), await dlq.purge()], [0, 0]);
    assertEquals(await codeOf(() => dlq.count({ olderThan: "x" })), "invalid_duration");
    assertEquals(await codeOf(() => dlq.purge({ queue: "" })), "invalid_queue");
    assertEquals(await codeOf(() => dlq.replay(newId("dlq"))), "not_found");
    assertEquals(await codeOf(() => dlq.get("x")), "invalid_id");
    assertEquals(await dlq.get(newId("dlq")), null);
  });
});
