import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { constant } from "../../src/core/backoff.ts";
import { defineJob } from "../../src/engine/definition.ts";
import type { LifecycleEvent, LifecycleExtension } from "../../src/engine/lifecycle.ts";
import { gate, heldJob, Noop, noops, startRig, turns } from "../harness.ts";

const Flaky = defineJob({
  name: "flaky",
  maxRetries: 1,
  backoff: constant("1s"),
  handler: () => {
    throw new Error("no");
  },
});

/** An extension that notes every hook it is told of. */
function spy(name: string, notes: string[]): LifecycleExtension {
  return {
    name,
    onJobEnqueued: (job) => void notes.push(`${name} enqueued ${job.state}`),
    onJobStarted: (job) => void notes.push(`${name} started ${job.attempt}`),
    onJobCompleted: (job, { durationMs }) =>
      void notes.push(`${name} completed ${job.state} ${JSON.stringify(job.result)} ${durationMs}`),
    onJobRetrying: (job, { error, nextRunAt }) =>
      void notes.push(
        `${name} retrying ${job.retryCount} ${error} ${
          nextRunAt.getTime() - job.createdAt.getTime()
        }`,
      ),
    onJobFailed: (job, { error }) => void notes.push(`${name} failed ${job.state} ${error}`),
    onJobDlq: (job, { letterId }) =>
      void notes.push(`${name} dlq ${letterId === job.id.replace("job_", "dlq_")}`),
    onShutdown: () => void notes.push(`${name} shutdown`),
  };
}

describe("lifecycle hooks", () => {
  it("tell of a job's life in order, to every extension in the order of registration", async () => {
    const notes: string[] = [];
    const held = heldJob();
    await using rig = await startRig({
      jobs: [held.definition],
      extensions: [spy("a", notes), spy("b", notes)],
    });
    const { id } = await rig.engine.enqueue(held.definition, null);
    const { end } = await held.started();
    await rig.advance("7s");
    end.open({ ok: true });
    await rig.reaches(id, "completed");
    await rig.stop();
    assertEquals(
      notes,
      ["enqueued pending", "started 1", 'completed completed {"ok":true} 7000', "shutdown"]
        .flatMap((note) => [`a ${note}`, `b ${note}`]),
    );
  });

  it("tell of retries, of the final failure, and of the dead letter", async () => {
    const notes: string[] = [];
    await using rig = await startRig({ jobs: [Flaky], extensions: [spy("a", notes)] });
    const { id } = await rig.engine.enqueue(Flaky, null);
    await rig.advance("2s");
    await rig.reaches(id, "failed");
    assertEquals(notes, [
      "a enqueued pending",
      "a started 1",
      "a retrying 1 no 1000",
      "a started 2",
      "a failed failed no",
      "a dlq true",
    ]);
  });

  it("tell of a success after a failure without the old error", async () => {
    let lastError: string | null = "";
    let calls = 0;
    const Second = defineJob({
      name: "second",
      backoff: constant(1),
      handler: () => {
        if (++calls === 1) throw new Error("first");
      },
    });
    await using rig = await startRig({
      jobs: [Second],
      extensions: [{ name: "a", onJobCompleted: (job) => void (lastError = job.lastError) }],
    });
    const { id } = await rig.engine.enqueue(Second, null);
    await rig.advance(5);
    await rig.reaches(id, "completed");
    assertEquals(lastError, null);
  });

  it("tell of each job that was stored once: not of one that held the unique key already", async () => {
    let count = 0;
    await using rig = await startRig({
      concurrency: 0,
      extensions: [{ name: "a", onJobEnqueued: () => void count++ }],
    });
    await rig.engine.enqueue("x", 1, { uniqueKey: "k" });
    await rig.engine.enqueue("x", 2, { uniqueKey: "k" });
    await rig.engine.enqueueMany([{ job: "x", options: { uniqueKey: "k" } }, { job: "x" }]);
    assertEquals(count, 2);
  });

  it("that throw, at once or later, are logged and harm nobody", async () => {
    const notes: string[] = [];
    const evil: LifecycleExtension = Object.fromEntries([
      ["name", "evil"],
      ...["onJobEnqueued", "onJobCompleted", "onShutdown"].map((hook) => [hook, () => {
        throw new Error(hook);
      }]),
      ["onJobStarted", () => Promise.reject(new Error("onJobStarted"))],
    ]);
    await using rig = await startRig({ jobs: [Noop], extensions: [evil, spy("good", notes)] });
    const { id } = await rig.engine.enqueue(Noop, undefined);
    await rig.reaches(id, "completed");
    await rig.stop();
    assertEquals(notes.length, 4);
    const lines = rig.log.lines.filter(({ message }) => message.includes("extension threw"));
    assertEquals(lines.map(({ fields }) => [fields.extension, fields.hook, fields.error]), [
      ["evil", "onJobEnqueued", "onJobEnqueued"],
      ["evil", "onJobStarted", "onJobStarted"],
      ["evil", "onJobCompleted", "onJobCompleted"],
      ["evil", "onShutdown", "onShutdown"],
    ]);
  });

  it("are called as methods of their extension, and its class is not needed", async () => {
    class Counter {
      name = "counter";
      #count = 0;
      onJobCompleted() {
        this.#count++;
      }
      get count() {
        return this.#count;
      }
    }
    const counter = new Counter();
    await using rig = await startRig({ jobs: [Noop], extensions: [counter] });
    await rig.engine.enqueueMany(noops(3));
    await rig.drained();
    assertEquals(counter.count, 3);
  });
});

describe("onShutdown", () => {
  it("is waited for", async () => {
    const end = gate();
    await using rig = await startRig({
      extensions: [{ name: "slow", onShutdown: () => end.promise }],
    });
    let stopped = false;
    const stopping = rig.engine.stop().then(() => (stopped = true));
    await turns();
    assertEquals(stopped, false);
    end.open();
    await stopping;
  });

  it("that never ends does not keep the engine from stopping", async () => {
    await using rig = await startRig({
      shutdownTimeout: "5s",
      extensions: [{ name: "stuck", onShutdown: () => new Promise(() => {}) }],
    });
    const took = await rig.stop();
    assert(took <= 5200, `${took} ms`);
    assertEquals(rig.log.count("onShutdown hook has not ended"), 1);
  });
});

describe("engine.subscribe()", () => {
  const types = (events: LifecycleEvent[]) => events.map(({ type }) => type);

  it("yields what happens from the call on, until the engine stops", async () => {
    await using rig = await startRig({ jobs: [Noop, Flaky] });
    await rig.engine.enqueue(Noop, undefined);
    await rig.drained();
    const events: LifecycleEvent[] = [];
    const subscription = rig.engine.subscribe();
    const reading = (async () => {
      for await (const event of subscription) events.push(event);
    })();
    const { id } = await rig.engine.enqueue(Noop, undefined);
    await rig.reaches(id, "completed");
    await rig.stop();
    await reading;
    assertEquals(types(events), ["onJobEnqueued", "onJobStarted", "onJobCompleted"]);
    assert(events.every(({ job, at }) => job.id === id && at instanceof Date));
  });

  it("narrows by kind, job, name and queue", async () => {
    await using rig = await startRig({ jobs: [Noop, Flaky], queues: ["default", "other"] });
    const job = await rig.engine.enqueue(Noop, undefined, { delay: "10s" });
    const filters = [
      { types: ["onJobCompleted" as const] },
      { jobId: job.id },
      { name: "flaky" },
      { queue: "other" },
      { queue: "other", name: "flaky" },
    ];
    const counts = filters.map(() => 0);
    const readers = filters.map(async (filter, i) => {
      for await (const _ of rig.engine.subscribe(filter)) counts[i]++;
    });
    await rig.engine.enqueue(Noop, undefined, { queue: "other" });
    await rig.engine.enqueue(Flaky, null, { maxRetries: 0 });
    await rig.advance("20s");
    await rig.stop();
    await Promise.all(readers);
    assertEquals(counts, [2, 2, 4, 3, 0]);
  });

  it("stops costing anything once its reader leaves", async () => {
    await using rig = await startRig({ jobs: [Noop] });
    const subscription = rig.engine.subscribe();
    await rig.engine.enqueue(Noop, undefined);
    for await (const event of subscription) {
      assertEquals(event.type, "onJobEnqueued");
      break;
    }
    await rig.engine.enqueue(Noop, undefined);
    await rig.drained();
    assertEquals((await subscription.next()).done, true);
  });

  it("answers several open reads, in order", async () => {
    await using rig = await startRig({ concurrency: 0 });
    const subscription = rig.engine.subscribe();
    const reads = [subscription.next(), subscription.next(), subscription.next()];
    await rig.engine.enqueueMany([{ job: "a" }, { job: "b" }]);
    await rig.stop();
    assertEquals((await Promise.all(reads)).map(({ value }) => value?.job.name), [
      "a",
      "b",
      undefined,
    ]);
  });

  it("drops the oldest for a reader that is more than 10,000 events behind", async () => {
    await using rig = await startRig({ concurrency: 0 });
    const subscription = rig.engine.subscribe();
    const jobs = await rig.engine.enqueueMany(noops(12_000));
    await rig.stop();
    const seen: string[] = [];
    for await (const { job } of subscription) seen.push(job.id);
    assertEquals(seen.length, 10_000);
    assertEquals([seen[0], seen.at(-1)], [jobs[2000].id, jobs.at(-1)!.id]);
  });
});
