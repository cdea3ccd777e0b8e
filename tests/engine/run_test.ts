import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as v from "valibot";
import { constant } from "../../src/core/backoff.ts";
import { cancel, discard, snooze } from "../../src/core/outcome.ts";
import { defineJob, type JobContext } from "../../src/engine/definition.ts";
import { errorOf, Noop, startRig, turns, until } from "../harness.ts";

/** A job that does each of these in turn, one an attempt, the last one from then on. */
function script(name: string, options: object, ...steps: ((job: JobContext) => unknown)[]) {
  const seen: [attempt: number, retryCount: number][] = [];
  const definition = defineJob({
    name,
    ...options,
    handler: (_: unknown, job) => {
      seen.push([job.attempt, job.retryCount]);
      return steps[Math.min(seen.length, steps.length) - 1](job);
    },
  });
  return { definition, seen };
}

const fail = () => {
  throw new Error("no");
};

describe("a handler", () => {
  it("gets its input and everything about its job", async () => {
    let seen: JobContext | undefined;
    const Look = defineJob({
      name: "look",
      handler: (input: { a: number }, job) => {
        seen = job;
        return { doubled: input.a * 2 };
      },
    });
    await using rig = await startRig({ jobs: [Look] });
    const options = { tags: ["t"], scope: { orgId: "o" }, priority: 5, maxRetries: 1 };
    const { id } = await rig.engine.enqueue(Look, { a: 21 }, options);
    const job = await rig.reaches(id, "completed");
    assertEquals(job.result, { doubled: 42 });
    assertEquals([job.attempt, job.lastError, job.retryCount], [1, null, 0]);
    assert(job.completedAt !== null && job.startedAt !== null && job.workerId !== null);
    assert(seen !== undefined);
    assertEquals(
      [seen.id, seen.name, seen.queue, seen.priority, seen.attempt, seen.retryCount],
      [id, "look", "default", 5, 1, 0],
    );
    assertEquals([seen.maxRetries, seen.tags, seen.scope], [1, ["t"], { orgId: "o" }]);
    assertEquals([seen.payload, seen.createdAt], [{ a: 21 }, job.createdAt]);
    assertEquals(seen.engine, rig.engine);
    assertEquals(seen.signal.aborted, false);
  });

  it("may be synchronous, return nothing, and enqueue further jobs", async () => {
    const Parent = defineJob({
      name: "parent",
      handler: (_: null, job) => void job.engine.enqueue(Noop, undefined),
    });
    await using rig = await startRig({ jobs: [Parent, Noop] });
    const { id } = await rig.engine.enqueue(Parent, null);
    assertEquals((await rig.reaches(id, "completed")).result, null);
    await rig.drained();
    assertEquals((await rig.engine.jobs.counts()).completed, 2);
  });

  it("is never called for a name that this process has not registered", async () => {
    await using rig = await startRig({ jobs: [Noop] });
    const { id } = await rig.engine.enqueue("elsewhere");
    const known = await rig.engine.enqueue(Noop, undefined);
    await rig.reaches(known.id, "completed");
    await rig.advance("1h");
    const job = (await rig.job(id))!;
    assertEquals([job.state, job.attempt], ["pending", 0]);
    rig.engine.register(defineJob({ name: "elsewhere", handler: () => "late" }));
    assertEquals((await rig.reaches(id, "completed")).result, "late");
  });

  it("whose result is no JSON ends the job at once: the work is done", async () => {
    let calls = 0;
    const Bad = defineJob({
      name: "bad",
      handler: () => {
        calls++;
        return { big: 10n };
      },
    });
    const Huge = defineJob({ name: "huge", handler: () => "x".repeat(2 ** 20) });
    await using rig = await startRig({ jobs: [Bad, Huge] });
    for (const definition of [Bad, Huge]) {
      const { id } = await rig.engine.enqueue(definition, null);
      await rig.reaches(id, "failed");
      const [letter] = await rig.engine.dlq.list({ jobName: definition.name });
      assertEquals([letter.reason, letter.retryCount], ["invalid_result", 0]);
    }
    assertEquals(calls, 1);
  });
});

describe("a failed attempt", () => {
  it("is retried after the definition's backoff, and ends in the dead letters", async () => {
    const { definition, seen } = script(
      "flaky",
      { maxRetries: 2, backoff: (failure: number) => failure * 1000 },
      fail,
    );
    await using rig = await startRig({ jobs: [definition], backoff: constant("1h") });
    const { id } = await rig.engine.enqueue(definition, { a: 1 });
    let job = await rig.reaches(id, "retrying");
    assertEquals([job.lastError, job.retryCount, job.attempt], ["no", 1, 1]);
    assertEquals(job.runAt.getTime(), rig.clock.now() + 1000);
    await rig.advance(999);
    assertEquals(seen.length, 1);
    await rig.advance(1);
    await turns();
    job = (await rig.job(id))!;
    assertEquals([job.state, job.retryCount], ["retrying", 2]);
    await rig.advance(2000);
    job = await rig.reaches(id, "failed");
    assertEquals(seen, [[1, 0], [2, 1], [3, 2]]);
    assertEquals([job.retryCount, job.attempt], [2, 3]);
    const [letter] = await rig.engine.dlq.list();
    assertEquals([letter.jobId, letter.error, letter.reason, letter.retryCount, letter.payload], [
      id,
      "no",
      "handler_failed",
      2,
      { a: 1 },
    ]);
    assertMatch(letter.stack ?? "", /run_test/);
  });

  it("waits as the engine says where the definition says nothing", async () => {
    const { definition } = script("flaky", {}, fail);
    await using rig = await startRig({ jobs: [definition], backoff: constant("42s") });
    const { id } = await rig.engine.enqueue(definition, null);
    const job = await rig.reaches(id, "retrying");
    assertEquals(job.runAt.getTime() - rig.clock.now(), 42_000);
  });

  it("is retried as often as this job says, and may succeed in the end", async () => {
    const { definition, seen } = script("flaky", { backoff: constant(0) }, fail, fail, () => "ok");
    await using rig = await startRig({ jobs: [definition] });
    const never = await rig.engine.enqueue(definition, null, { maxRetries: 0 });
    await rig.reaches(never.id, "failed");
    seen.length = 0;
    const { id } = await rig.engine.enqueue(definition, null, { maxRetries: 2 });
    await rig.advance(10);
    const job = await rig.reaches(id, "completed");
    assertEquals([job.result, job.lastError, job.retryCount, job.attempt], ["ok", null, 2, 3]);
    assertEquals(await rig.engine.dlq.count(), 1);
  });

  it("harms nobody, whatever is thrown and whatever the backoff does", async () => {
    const thrown: unknown[] = [
      undefined,
      "text",
      Object.create(null),
      Object.assign(new Error(), { message: 42, stack: {} }),
      Promise.withResolvers<void>(),
      ...[1].map(() => {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        return proxy;
      }),
    ];
    const Evil = defineJob({
      name: "evil",
      backoff: () => fail(),
      handler: (at: number) => {
        throw thrown[at];
      },
    });
    await using rig = await startRig({ jobs: [Evil], concurrency: 1 });
    for (const at of thrown.keys()) {
      const { id } = await rig.engine.enqueue(Evil, at, { maxRetries: 1 });
      const job = await rig.reaches(id, "retrying");
      assertEquals(job.runAt.getTime() - rig.clock.now(), 1000);
    }
    await rig.advance("2s");
    await rig.drained();
    assertEquals((await rig.engine.jobs.counts()).failed, thrown.length);
  });
});

describe("a handler's way out", () => {
  it("snooze() puts the job off without spending the attempt", async () => {
    const { definition, seen } = script("job", {}, () => {
      throw snooze("10m");
    }, () => "ok");
    await using rig = await startRig({ jobs: [definition] });
    const { id } = await rig.engine.enqueue(definition, null, { maxRetries: 0 });
    await until(() => seen.length === 1); // it is pending before as well
    const job = await rig.reaches(id, "pending");
    assertEquals([job.attempt, job.retryCount, job.lastError], [0, 0, null]);
    assertEquals(job.runAt.getTime() - rig.clock.now(), 600_000);
    await rig.advance("10m");
    await rig.reaches(id, "completed");
    assertEquals(seen, [[1, 0], [1, 0]]);
  });

  it("discard() ends the job in the dead letters, without the retries that are left", async () => {
    const { definition, seen } = script("job", {}, () => {
      throw discard("hopeless");
    });
    await using rig = await startRig({ jobs: [definition] });
    const { id } = await rig.engine.enqueue(definition, null, { maxRetries: 5 });
    assertEquals((await rig.reaches(id, "failed")).lastError, "hopeless");
    const [letter] = await rig.engine.dlq.list();
    assertEquals([letter.reason, letter.retryCount, seen.length], ["discarded", 0, 1]);
  });

  it("cancel() ends the job as cancelled, with its reason and without a dead letter", async () => {
    const { definition } = script("job", {}, () => {
      throw cancel("paid meanwhile");
    });
    await using rig = await startRig({ jobs: [definition] });
    const { id } = await rig.engine.enqueue(definition, null);
    const error = await errorOf(() => rig.engine.result(id));
    assertEquals(error.code, "cancelled");
    assertMatch(error.message, /paid meanwhile/);
    assertEquals((await rig.reaches(id, "cancelled")).lastError, "paid meanwhile");
    assertEquals(await rig.engine.dlq.count(), 0);
  });

  it("keeps its reason within bounds", async () => {
    const { definition } = script("job", {}, () => {
      throw discard("x".repeat(1e6));
    });
    await using rig = await startRig({ jobs: [definition] });
    const { id } = await rig.engine.enqueue(definition, null);
    assertEquals((await rig.reaches(id, "failed")).lastError?.length, 4000);
  });
});

describe("a definition's schema, at run", () => {
  it("transforms the stored original, once", async () => {
    const inputs: unknown[] = [];
    const Sum = defineJob({
      name: "sum",
      backoff: constant(1),
      input: v.pipe(v.object({ n: v.string() }), v.transform(({ n }) => Number(n) + 1)),
      handler: (input, job) => {
        inputs.push(input, job.payload);
        if (job.attempt === 1) fail();
      },
    });
    await using rig = await startRig({ jobs: [Sum] });
    const { id } = await rig.engine.enqueue(Sum, { n: "1" });
    await rig.reaches(id, "retrying");
    await rig.advance(1);
    await rig.reaches(id, "completed");
    assertEquals(inputs, [2, { n: "1" }, 2, { n: "1" }]);
  });

  it("sends input that no longer fits to the dead letters, unspent and unhandled", async () => {
    let called = false;
    const V2 = defineJob({
      name: "order",
      input: v.object({ newField: v.string() }),
      handler: () => void (called = true),
    });
    await using rig = await startRig({ jobs: [V2] });
    const producer = await rig.add({ concurrency: 0 }); // an older version: it knows no schema
    const { id } = await producer.enqueue("order", { oldField: 1 }, { maxRetries: 5 });
    const job = await rig.reaches(id, "failed");
    assertEquals([job.retryCount, called], [0, false]);
    const [letter] = await rig.engine.dlq.list();
    assertEquals([letter.reason, letter.retryCount], ["invalid_payload", 0]);
    assertMatch(letter.error, /newField/);
  });

  it("that itself fails counts as a failure, and is tried again", async () => {
    let tries = 0;
    const Looked = defineJob({
      name: "looked",
      backoff: constant(1),
      input: v.pipeAsync(
        v.string(),
        v.checkAsync(async () => await Promise.resolve(++tries !== 2) || fail()),
      ),
      handler: () => "ok",
    });
    await using rig = await startRig({ jobs: [Looked] });
    const { id } = await rig.engine.enqueue(Looked, "x");
    await rig.reaches(id, "retrying");
    await rig.advance(1);
    assertEquals((await rig.reaches(id, "completed")).result, "ok");
  });
});
