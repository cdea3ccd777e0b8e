import { assert, assertEquals, assertMatch } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { snooze } from "../../src/core/outcome.ts";
import { defineJob, type JobContext } from "../../src/engine/definition.ts";
import { compose, type Middleware } from "../../src/engine/middleware/compose.ts";
import { logging } from "../../src/engine/middleware/logging.ts";
import { recover } from "../../src/engine/middleware/recover.ts";
import { scope } from "../../src/engine/middleware/scope.ts";
import { codeOf, errorOf, Noop, RecordingLogger, startRig } from "../harness.ts";

/** Notes when it is entered and left. */
function noting(name: string, notes: string[]): Middleware {
  return async (_, next) => {
    notes.push(`${name} in`);
    try {
      return await next();
    } finally {
      notes.push(`${name} out`);
    }
  };
}

/** A job that throws what its test says. */
const Throw = (thrown: unknown, name = "throw") =>
  defineJob({
    name,
    maxRetries: 0,
    handler: () => {
      throw thrown;
    },
  });

describe("middleware", () => {
  it("wraps the handler, the first outermost, and may change what is returned", async () => {
    const notes: string[] = [];
    const double: Middleware = async (_, next) => (await next() as number) * 2;
    const Job = defineJob({
      name: "job",
      handler: () => (notes.push("handler"), 21),
    });
    await using rig = await startRig({
      jobs: [Job],
      middleware: [noting("a", notes), compose(noting("b", notes), double), noting("c", notes)],
    });
    const { id } = await rig.engine.enqueue(Job, null);
    assertEquals((await rig.reaches(id, "completed")).result, 42);
    assertEquals(notes, ["a in", "b in", "c in", "handler", "c out", "b out", "a out"]);
  });

  it("may return no promise, as JavaScript lets it", async () => {
    const Job = defineJob({ name: "job", maxRetries: 0, handler: () => "handler" });
    const plain = ((job: JobContext) => `plain ${job.payload}`) as unknown as Middleware;
    await using rig = await startRig({ jobs: [Job], middleware: [plain] });
    const { id } = await rig.engine.enqueue(Job, "text");
    assertEquals(await rig.engine.result(id), "plain text");
  });

  it("may answer in place of the handler, or fail the attempt", async () => {
    const Job = defineJob({ name: "job", maxRetries: 0, handler: () => "handler" });
    const gatekeeper: Middleware = (job, next) => {
      if (job.payload === "skip") return Promise.resolve("skipped");
      if (job.payload === "throw") throw new Error("not this one");
      return next();
    };
    await using rig = await startRig({ jobs: [Job], middleware: [gatekeeper] });
    const results = [];
    for (const input of ["skip", "run"]) {
      results.push(await rig.engine.result((await rig.engine.enqueue(Job, input)).id));
    }
    assertEquals(results, ["skipped", "handler"]);
    const { id } = await rig.engine.enqueue(Job, "throw");
    assertMatch((await errorOf(() => rig.engine.result(id))).message, /not this one/);
  });

  it("that throws at once rejects the next() of the one outside", async () => {
    let seen: unknown;
    const outer: Middleware = (_, next) => next().catch((error) => (seen = error, "saved"));
    const inner: Middleware = () => {
      throw new Error("at once");
    };
    await using rig = await startRig({ jobs: [Noop], middleware: [outer, inner] });
    const { id } = await rig.engine.enqueue(Noop, undefined);
    assertEquals(await rig.engine.result(id), "saved");
    assertEquals((seen as Error).message, "at once");
  });

  it("is not asked where the input does not fit", async () => {
    const notes: string[] = [];
    const Job = defineJob({
      name: "job",
      input: {
        "~standard": {
          version: 1,
          vendor: "test",
          validate: () => ({ issues: [{ message: "no" }] }),
        },
      },
      handler: () => {},
    });
    await using rig = await startRig({ jobs: [Job], middleware: [noting("a", notes)] });
    const other = await rig.add({ concurrency: 0 });
    const { id } = await other.enqueue("job");
    await rig.reaches(id, "failed");
    assertEquals(notes, []);
  });
});

describe("compose()", () => {
  it("of nothing just runs the handler", async () => {
    await using rig = await startRig({
      jobs: [defineJob({ name: "job", handler: () => 1 })],
      middleware: [compose()],
    });
    const { id } = await rig.engine.enqueue("job");
    assertEquals(await rig.engine.result(id), 1);
  });
});

describe("recover()", () => {
  it("makes an Error of whatever is thrown, and tells the tracker", async () => {
    const told: [string, unknown][] = [];
    const values = [undefined, null, "no", 42, { code: 1 }, Object.create(null)];
    await using rig = await startRig({
      jobs: values.map((value, i) => Throw(value, `throw ${i}`)),
      middleware: [recover((error, job) => void told.push([job.name, error.cause]))],
    });
    for (const i of values.keys()) {
      const { id } = await rig.engine.enqueue(`throw ${i}`, null, { maxRetries: 0 });
      const error = (await rig.reaches(id, "failed")).lastError!;
      assert(error.startsWith(`throw ${i} threw `), error);
    }
    assertEquals(told.map(([name]) => name), values.map((_, i) => `throw ${i}`));
    assertEquals(told.map(([, cause]) => cause), values);
  });

  it("leaves errors and ways out as they are, and survives a tracker that throws", async () => {
    await using rig = await startRig({
      jobs: [Throw(new RangeError("mine")), Throw(snooze("1h"), "snooze")],
      middleware: [recover(() => {
        throw new Error("tracker is down");
      })],
    });
    const { id } = await rig.engine.enqueue("throw", null, { maxRetries: 0 });
    assertEquals((await rig.reaches(id, "failed")).lastError, "mine");
    const snoozed = await rig.engine.enqueue("snooze");
    await rig.advance(1);
    assertEquals((await rig.job(snoozed.id))?.state, "pending");
    assertEquals((await rig.job(snoozed.id))!.runAt.getTime() > rig.clock.now(), true);
  });
});

describe("logging()", () => {
  it("logs start and end of every attempt with the job, its attempt and the time it took", async () => {
    const log = new RecordingLogger();
    await using rig = await startRig({
      jobs: [Noop, Throw(new Error("no")), Throw(snooze("1h"), "snooze")],
      middleware: [logging(log)],
    });
    const good = await rig.engine.enqueue(Noop, undefined, { queue: "default" });
    await rig.reaches(good.id, "completed");
    const bad = await rig.engine.enqueue("throw", null, { maxRetries: 0 });
    await rig.reaches(bad.id, "failed");
    const later = await rig.engine.enqueue("snooze");
    await rig.advance(1);
    assertEquals(log.lines.map(({ level, message }) => [level, message]), [
      ["info", "job started"],
      ["info", "job handled"],
      ["info", "job started"],
      ["warn", "attempt failed"],
      ["info", "job started"],
      ["info", "job left with snooze"],
    ]);
    const { ms, ...fields } = log.lines[3].fields;
    assertEquals(fields, { job: bad.id, name: "throw", queue: "default", attempt: 1, error: "no" });
    assert(typeof ms === "number" && ms >= 0);
    assertEquals(log.lines[4].fields.job, later.id);
  });
});

describe("scope()", () => {
  const Parent = defineJob({
    name: "parent",
    handler: async (_: null, job) => {
      const { engine } = job;
      const made = [
        await engine.enqueue(Noop, undefined),
        await engine.enqueue("noop", undefined, { scope: undefined, queue: "q" }),
        ...await engine.enqueueMany([{ job: Noop }, {
          job: Noop,
          options: { scope: { appId: "x" } },
        }]),
        await engine.enqueue(Noop, undefined, { scope: {} }),
      ];
      return made.map((child) => child.scope);
    },
  });
  const mine = { appId: "app", orgId: "org" };

  it("has jobs that a handler enqueues belong to the same tenant, unless they name one", async () => {
    await using rig = await startRig({ jobs: [Parent, Noop], middleware: [scope()] });
    const { id } = await rig.engine.enqueue(Parent, null, { scope: mine });
    assertEquals(await rig.engine.result(id), [mine, mine, mine, { appId: "x" }, {}]);
  });

  it("leaves them without one where it is not used", async () => {
    await using rig = await startRig({ jobs: [Parent, Noop] });
    const { id } = await rig.engine.enqueue(Parent, null, { scope: mine });
    assertEquals(await rig.engine.result(id), [{}, {}, {}, { appId: "x" }, {}]);
  });

  it("gives the handler an engine that is otherwise the same", async () => {
    const Child = defineJob({
      name: "child",
      handler: async (_: null, { engine }) => {
        const { id } = await engine.enqueue("noop");
        await engine.result(id);
        const counts = await engine.jobs.counts();
        return [
          counts.completed,
          (await engine.queues.list()).length,
          (await engine.stats()).dlqCount,
        ];
      },
    });
    await using rig = await startRig({ jobs: [Child, Noop], middleware: [scope()] });
    const { id } = await rig.engine.enqueue(Child, null, { scope: mine });
    assertEquals(await rig.engine.result(id), [1, 1, 0]);
  });

  it("runs the handler inside the tenant context of the application", async () => {
    const notes: unknown[] = [];
    await using rig = await startRig({
      jobs: [Noop],
      middleware: [scope(async (current, next) => {
        notes.push(current);
        const result = await next();
        notes.push("left");
        return result;
      })],
    });
    const { id } = await rig.engine.enqueue(Noop, undefined, { scope: mine });
    await rig.reaches(id, "completed");
    assertEquals(notes, [mine, "left"]);
    assertEquals(await codeOf(() => rig.engine.jobs.cancel(id)), "wrong_state");
  });
});
