import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import * as v from "valibot";
import { isId } from "../../src/core/id.ts";
import { defineJob } from "../../src/engine/definition.ts";
import type { EnqueueOptions } from "../../src/engine/enqueue.ts";
import { codeOf, errorOf, gate, Noop, noops, startRig } from "../harness.ts";

/** Enqueues only: what is stored can be looked at in peace. */
const IDLE = { concurrency: 0 };

const Tuned = defineJob({
  name: "tuned",
  queue: "slow",
  priority: 7,
  maxRetries: 9,
  timeout: "5m",
  handler: () => {},
});

describe("engine.enqueue()", () => {
  it("takes everything that is left out from the definition", async () => {
    await using rig = await startRig(IDLE);
    const job = await rig.engine.enqueue(Tuned, { a: 1 });
    assert(isId("job", job.id));
    assertEquals(await rig.job(job.id), job);
    const { queue, priority, maxRetries, timeout, payload, state, attempt, retryCount } = job;
    assertEquals(
      { queue, priority, maxRetries, timeout, payload, state, attempt, retryCount },
      {
        queue: "slow",
        priority: 7,
        maxRetries: 9,
        timeout: 300_000,
        payload: { a: 1 },
        state: "pending",
        attempt: 0,
        retryCount: 0,
      },
    );
    assertEquals([job.uniqueKey, job.tags, job.scope, job.lastError], [null, [], {}, null]);
    assertEquals(job.runAt.getTime(), rig.clock.now());
  });

  it("takes the definition of a registered name, and defaults for an unknown one", async () => {
    await using rig = await startRig({ ...IDLE, jobs: [Tuned] });
    assertEquals((await rig.engine.enqueue("tuned")).queue, "slow");
    const unknown = await rig.engine.enqueue("elsewhere", [1]);
    assertEquals([unknown.queue, unknown.priority, unknown.maxRetries, unknown.timeout], [
      "default",
      0,
      3,
      0,
    ]);
  });

  it("lets every option override the definition", async () => {
    await using rig = await startRig(IDLE);
    const job = await rig.engine.enqueue(Tuned, null, {
      queue: "fast",
      priority: -3,
      delay: "1h",
      maxRetries: 0,
      timeout: 0,
      uniqueKey: "k",
      tags: ["a", "b"],
      scope: { appId: "app", orgId: "org" },
    });
    assertEquals([job.queue, job.priority, job.maxRetries, job.timeout], ["fast", -3, 0, 0]);
    assertEquals([job.uniqueKey, job.tags, job.scope], ["k", ["a", "b"], {
      appId: "app",
      orgId: "org",
    }]);
    assertEquals(job.runAt.getTime(), rig.clock.now() + 3_600_000);
    const later = await rig.engine.enqueue(Tuned, null, { runAt: "2027-05-01T00:00:00Z" });
    assertEquals(later.runAt, new Date("2027-05-01T00:00:00Z"));
  });

  const bad: [string, unknown, string][] = [
    ["an empty queue name", { queue: "" }, "invalid_queue"],
    ["a queue that is no text", { queue: { toString: 1 } }, "invalid_queue"],
    ["a fractional priority", { priority: 1.5 }, "invalid_option"],
    ["a huge priority", { priority: 1e7 }, "invalid_option"],
    ["a priority that is a text", { priority: "1" }, "invalid_option"],
    ["a priority that is an object", { priority: Object.create(null) }, "invalid_option"],
    ["negative retries", { maxRetries: -1 }, "invalid_option"],
    ["retries that are a symbol", { maxRetries: Symbol("s") }, "invalid_option"],
    ["a bad timeout", { timeout: "soon" }, "invalid_duration"],
    ["a timeout that is an object", { timeout: { toString: 1 } }, "invalid_duration"],
    ["a negative delay", { delay: -1 }, "invalid_duration"],
    ["a bad moment", { runAt: "2026-02-30" }, "invalid_moment"],
    ["delay and runAt together", { delay: 1, runAt: new Date() }, "invalid_option"],
    ["an empty unique key", { uniqueKey: "" }, "invalid_option"],
    ["a long unique key", { uniqueKey: "x".repeat(501) }, "invalid_option"],
    ["a unique key that is a BigInt", { uniqueKey: 10n }, "invalid_option"],
    ["tags that are a text", { tags: "a" }, "invalid_option"],
    ["an empty tag", { tags: [""] }, "invalid_option"],
    ["51 tags", { tags: Array(51).fill("a") }, "invalid_option"],
    ["a scope that is a text", { scope: "app" }, "invalid_option"],
    ["a scope of numbers", { scope: { appId: 1 } }, "invalid_option"],
    ["a null scope", { scope: null }, "invalid_option"],
    ["a transaction", { tx: {} }, "invalid_option"],
  ];
  for (const [what, options, code] of bad) {
    it(`refuses ${what}`, async () => {
      await using rig = await startRig(IDLE);
      const error = await errorOf(() => rig.engine.enqueue(Noop, 1, options as EnqueueOptions));
      assertEquals(error.code, code);
      assert(error.hint.length > 0);
      assertEquals((await rig.engine.jobs.counts()).pending, 0);
    });
  }

  it("refuses bad names and payloads that are not JSON or too large", async () => {
    await using rig = await startRig(IDLE);
    const { engine } = rig;
    const cycle: unknown[] = [];
    cycle.push(cycle);
    assertEquals(await codeOf(() => engine.enqueue("")), "invalid_job_name");
    assertEquals(await codeOf(() => engine.enqueue("x", cycle)), "payload_not_json");
    assertEquals(await codeOf(() => engine.enqueue("x", { n: 1n })), "payload_not_json");
    assertEquals(await codeOf(() => engine.enqueue("x", () => 1)), "payload_not_json");
    const limit = rig.store.maxPayloadBytes;
    await engine.enqueue("x", "a".repeat(limit - 2));
    assertEquals(
      await codeOf(() => engine.enqueue("x", "a".repeat(limit - 1))),
      "payload_too_large",
    );
  });

  it("keeps nothing that the caller can still change", async () => {
    await using rig = await startRig(IDLE);
    const input = { list: [1] };
    const tags = ["a"];
    const scope = { appId: "app" };
    const enqueuing = rig.engine.enqueue("x", input, { tags, scope });
    input.list.push(2);
    tags.push("b");
    scope.appId = "other";
    const { id } = await enqueuing;
    const job = (await rig.job(id))!;
    assertEquals([job.payload, job.tags, job.scope], [{ list: [1] }, ["a"], { appId: "app" }]);
  });

  it("suggests the nearest name under strictNames, also for definitions", async () => {
    await using rig = await startRig({ ...IDLE, jobs: [Tuned], strictNames: true });
    await rig.engine.enqueue("tuned");
    const error = await errorOf(() => rig.engine.enqueue("tunned"));
    assertEquals(error.code, "unknown_job");
    assertMatch(error.hint, /Did you mean "tuned"/);
    assertMatch(
      (await errorOf(() => rig.engine.enqueue("zzzzzzzzzz"))).hint,
      /Registered are "tuned"/,
    );
    assertEquals(await codeOf(() => rig.engine.enqueue(Noop, undefined)), "unknown_job");
  });
});

describe("a definition's schema, at enqueue", () => {
  const Order = defineJob({
    name: "order",
    input: v.object({ count: v.pipe(v.string(), v.transform(Number), v.number()) }),
    handler: () => {},
  });
  const Slow = defineJob({
    name: "slow",
    input: v.pipeAsync(v.string(), v.checkAsync((s) => Promise.resolve(s !== "no"), "not no")),
    handler: () => {},
  });

  it("refuses what does not fit, with every issue and its path", async () => {
    await using rig = await startRig(IDLE);
    const error = await errorOf(() =>
      rig.engine.enqueue(Order, { count: 3 } as unknown as { count: string })
    );
    assertEquals(error.code, "invalid_payload");
    assertMatch(error.message, /order.*count: /);
    assertEquals(await codeOf(() => rig.engine.enqueue(Slow, "no")), "invalid_payload");
    assertEquals((await rig.engine.jobs.counts()).pending, 0);
  });

  it("has the input stored as it was given", async () => {
    await using rig = await startRig(IDLE);
    assertEquals((await rig.engine.enqueue(Order, { count: "3" })).payload, { count: "3" });
    assertEquals((await rig.engine.enqueue(Slow, "yes")).payload, "yes");
  });

  it("is asked about what will be read back, so that no job is stored that can never run", async () => {
    await using rig = await startRig(IDLE);
    const Dated = defineJob({
      name: "dated",
      input: v.object({ at: v.date() }),
      handler: () => {},
    });
    assertEquals(
      await codeOf(() => rig.engine.enqueue(Dated, { at: new Date() })),
      "invalid_payload",
    );
  });

  it("lets the error of a schema that itself fails through", async () => {
    await using rig = await startRig(IDLE);
    const Broken = defineJob({
      name: "broken",
      input: v.pipe(
        v.string(),
        v.check(() => {
          throw new RangeError("schema is broken");
        }),
      ),
      handler: () => {},
    });
    await assertRejects(() => rig.engine.enqueue(Broken, "x"), RangeError, "schema is broken");
  });
});

describe("unique keys", () => {
  it("give back the unfinished job that holds the key, and nothing is added", async () => {
    await using rig = await startRig(IDLE);
    const options = { uniqueKey: "k" };
    const first = await rig.engine.enqueue("x", 1, options);
    const second = await rig.engine.enqueue("x", 2, options);
    assertEquals([second.id, second.payload], [first.id, 1]);
    const other = await rig.engine.enqueue("y", 1, options);
    assert(other.id !== first.id);
    const both = await Promise.all([1, 2].map((n) => rig.engine.enqueue("z", n, options)));
    assertEquals(both[0].id, both[1].id);
    const many = await rig.engine.enqueueMany([
      { job: "w", options },
      { job: "w", options },
    ]);
    assertEquals(many[0].id, many[1].id);
    assertEquals((await rig.engine.jobs.counts()).pending, 4);
  });

  it("are free again once the job has ended, in any way", async () => {
    const end = gate();
    const Keyed = defineJob({ name: "keyed", handler: () => end.promise });
    await using rig = await startRig({ jobs: [Keyed] });
    const options = { uniqueKey: "k" };
    const first = await rig.engine.enqueue(Keyed, null, options);
    await rig.reaches(first.id, "running");
    assertEquals((await rig.engine.enqueue(Keyed, null, options)).id, first.id);
    end.open();
    await rig.reaches(first.id, "completed");
    const second = await rig.engine.enqueue(Keyed, null, { ...options, delay: "1h" });
    assert(second.id !== first.id);
    await rig.engine.jobs.cancel(second.id);
    const third = await rig.engine.enqueue(Keyed, null, options);
    assert(third.id !== second.id);
    await rig.reaches(third.id, "completed");
  });
});

describe("engine.enqueueMany()", () => {
  it("stores all in one write, in order", async () => {
    const writes: number[] = [];
    await using rig = await startRig({
      ...IDLE,
      around: ({ name, args }, proceed) => {
        if (name === "jobs.enqueue") writes.push(args[0].length);
        return proceed();
      },
    });
    const jobs = await rig.engine.enqueueMany([
      { job: Tuned, input: 1 },
      { job: "other", input: 2, options: { queue: "q" } },
      { job: "third" },
    ]);
    assertEquals(jobs.map((job) => [job.name, job.queue, job.payload]), [
      ["tuned", "slow", 1],
      ["other", "q", 2],
      ["third", "default", null],
    ]);
    assertEquals(writes, [3]);
    assertEquals(await rig.engine.enqueueMany([]), []);
    assertEquals(writes, [3]);
  });

  it("stores nothing when one is refused, and says which", async () => {
    await using rig = await startRig(IDLE);
    const items = [...noops(5)];
    items[3] = { job: Noop, input: undefined, options: { queue: "" } };
    const error = await errorOf(() => rig.engine.enqueueMany(items));
    assertEquals(error.code, "invalid_queue");
    assertMatch(error.message, /^Cannot enqueue item 3: /);
    assertEquals((await rig.engine.jobs.counts()).pending, 0);
  });

  it("takes 20,000 at once", async () => {
    await using rig = await startRig(IDLE);
    const jobs = await rig.engine.enqueueMany(noops(20_000));
    assertEquals(new Set(jobs.map((job) => job.id)).size, 20_000);
    assertEquals((await rig.engine.jobs.counts()).pending, 20_000);
  });
});
