import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DispatchError } from "../../src/core/errors.ts";
import { type AnyJobDefinition, defineJob } from "../../src/engine/definition.ts";
import { Engine } from "../../src/engine/engine.ts";
import { type EngineOptions, readOptions } from "../../src/engine/options.ts";
import { Noop, startRig } from "../harness.ts";

describe("readOptions()", () => {
  it("has a default for everything", () => {
    const {
      concurrency,
      queues,
      pollMs,
      maxPollMs,
      heartbeatMs,
      leaseMs,
      shutdownMs,
      strictNames,
    } = readOptions({});
    assertEquals([concurrency, queues, strictNames], [10, ["default"], false]);
    assertEquals([pollMs, maxPollMs, heartbeatMs, leaseMs, shutdownMs], [
      1000,
      5000,
      10_000,
      30_000,
      30_000,
    ]);
  });

  it("names a queue once", () => {
    assertEquals(readOptions({ queues: ["b", "a", "b"] }).queues, ["b", "a"]);
  });

  const bad: [string, unknown, string][] = [
    ["a negative concurrency", { concurrency: -1 }, "invalid_concurrency"],
    ["half a job", { concurrency: 0.5 }, "invalid_concurrency"],
    ["a concurrency that is a text", { concurrency: "10" }, "invalid_concurrency"],
    [
      "a concurrency that is an object",
      { concurrency: Object.create(null) },
      "invalid_concurrency",
    ],
    ["endless concurrency", { concurrency: Infinity }, "invalid_concurrency"],
    ["no queues", { queues: [] }, "invalid_queue"],
    ["a text in place of queues", { queues: "default" }, "invalid_queue"],
    ["an empty queue name", { queues: ["a", ""] }, "invalid_queue"],
    ["a limit of a queue without a name", { queueLimits: { "": {} } }, "invalid_queue"],
    ["a limit of nothing", { queueLimits: { q: { concurrency: 0 } } }, "invalid_concurrency"],
    ["a poll interval of nothing", { pollInterval: 0 }, "invalid_duration"],
    ["a longest poll interval of nothing", { maxPollInterval: "0s" }, "invalid_duration"],
    ["a lease of nothing", { leaseDuration: 0 }, "invalid_duration"],
    ["a heartbeat of nothing", { heartbeatInterval: 0 }, "invalid_duration"],
    ["a bad shutdownTimeout", { shutdownTimeout: "soon" }, "invalid_duration"],
    ["a bad retention", { retention: "soon" }, "invalid_duration"],
    ["a lease that one missed beat loses", {
      leaseDuration: "10s",
      heartbeatInterval: "6s",
    }, "invalid_option"],
  ];
  for (const [what, options, code] of bad) {
    it(`refuses ${what}`, () => {
      const error = assertThrows(() => new Engine(options as EngineOptions), DispatchError);
      assertEquals(error.code, code);
      assertEquals(error.hint.length > 0, true);
    });
  }
});

describe("defineJob()", () => {
  const handler = () => {};
  const bad: [string, Record<string, unknown>, string][] = [
    ["an empty name", { name: "", handler }, "invalid_job_name"],
    ["no name", { handler }, "invalid_job_name"],
    ["no handler", { name: "x" }, "invalid_option"],
    ["an input that is no schema", { name: "x", handler, input: {} }, "invalid_option"],
    ["a null input", { name: "x", handler, input: null }, "invalid_option"],
    ["a bad queue", { name: "x", handler, queue: " " }, "invalid_queue"],
    ["a bad priority", { name: "x", handler, priority: 0.1 }, "invalid_option"],
    ["a bad maxRetries", { name: "x", handler, maxRetries: Infinity }, "invalid_option"],
    ["a bad timeout", { name: "x", handler, timeout: "5 minutes" }, "invalid_duration"],
  ];
  for (const [what, options, code] of bad) {
    it(`refuses ${what}`, () => {
      const define = () => defineJob(options as unknown as Parameters<typeof defineJob>[0]);
      assertEquals(assertThrows(define, DispatchError).code, code);
    });
  }

  it("has a default for everything but name and handler", () => {
    const { queue, priority, maxRetries, timeoutMs, backoff, input } = defineJob({
      name: "x",
      handler,
    });
    assertEquals([queue, priority, maxRetries, timeoutMs, backoff, input], [
      "default",
      0,
      3,
      0,
      undefined,
      undefined,
    ]);
  });
});

describe("engine.register()", () => {
  it("takes the same definition again, and refuses another of its name", () => {
    const engine = new Engine();
    const Other = defineJob({ name: "noop", handler: () => {} });
    engine.register(Noop, Noop);
    engine.register(Noop);
    const error = assertThrows(() => engine.register(Other), DispatchError);
    assertEquals(error.code, "duplicate_job");
    assertMatch(error.message, /"noop"/);
  });

  it("registers all or none, also when the two of one name come together", async () => {
    const [A, B, B2] = ["a", "b", "b"].map((name): AnyJobDefinition =>
      defineJob({ name, handler: () => {} })
    );
    await using rig = await startRig({ strictNames: true });
    assertThrows(() => rig.engine.register(A, B, B2), DispatchError);
    for (const name of ["a", "b"]) {
      const refused = await rig.engine.enqueue(name).then(() => false, () => true);
      assertEquals(refused, true);
    }
    rig.engine.register(A, B);
    await rig.engine.enqueue("a");
  });

  it("after the start has waiting jobs run at once", async () => {
    await using rig = await startRig();
    const { id } = await rig.engine.enqueue("late");
    await rig.advance("1m");
    rig.engine.register(defineJob({ name: "late", handler: () => "ran" }));
    assertEquals((await rig.reaches(id, "completed")).result, "ran"); // without any time passing
  });
});
