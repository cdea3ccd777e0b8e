/** Runs that are too large or too many for one commit of a KV, and processes that die between two. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { newId } from "../../src/core/id.ts";
import type { NewEvent } from "../../src/core/event.ts";
import type { ClaimedJob, Lease } from "../../src/core/lease.ts";
import type { Outcome } from "../../src/core/outcome.ts";
import { openKv } from "../../src/store/kv/open.ts";
import { kvStore } from "../../src/store/kv/store.ts";
import type { StepWait, StepWrite } from "../../src/store/store.ts";
import { codeOf } from "../harness.ts";
import { newJob } from "../../src/testing/suite/context.ts";
import { CLAIM, troubled } from "../kv.ts";
import { audit } from "../kv_audit.ts";

const NAME = "workflow/order@1";
const LARGEST = 640 * 1024;
const text = (bytes: number) => JSON.stringify("x".repeat(bytes - 2));
const range = (count: number) => Array.from({ length: count }, (_, i) => i);

/** A store whose commits are counted, and may be the last of its process. */
async function open(maxChecks = Infinity) {
  const kv = await openKv(":memory:");
  const counter = { commits: 0, left: Infinity };
  const bad = troubled(kv, {
    maxChecks,
    before: () => {
      if (counter.left-- <= 0) throw new Error("the process has died");
      counter.commits++;
    },
  });
  const store = kvStore(bad);
  await store.migrate();
  const claim = async (count = 1): Promise<ClaimedJob[]> => {
    const claimed = await store.jobs.claim({ ...CLAIM, names: [NAME], limit: count });
    assertEquals(claimed.length, count);
    return claimed;
  };
  const start = async (count = 1) => {
    await store.jobs.enqueue(range(count).map(() => newJob({ name: NAME })));
    return await claim(count);
  };
  const settle = async (lease: Lease, outcome: Outcome) =>
    (await store.jobs.settle([{ lease, outcome, isRun: true }]))[0];
  const states = async () => {
    const { items } = await store.runs!.list({ limit: 1000, offset: 0 });
    return new Set(items.map(({ job }) => job.state));
  };
  return {
    ...{
      kv,
      counter,
      store,
      runs: store.runs!,
      events: store.events!,
      claim,
      start,
      settle,
      states,
    },
    heir: () => kvStore(kv),
    async [Symbol.asyncDispose]() {
      await audit(kv);
      kv.close();
    },
  };
}

function step(lease: Lease, position: number, fields: Partial<StepWrite> = {}): StepWrite {
  return {
    ...{ lease, accepted: [], position, name: `s${position}`, kind: "run", state: "completed" },
    ...{ attempt: 1, result: "1", failure: null, delayMs: null, seq: position + 1, elapsedMs: 0 },
    ...fields,
  };
}

function wait(lease: Lease, position: number, fields: Partial<StepWait> = {}): StepWait {
  return {
    ...{ lease, accepted: [], position, name: "paid", kind: "event", events: ["paid"], key: null },
    ...{ delayMs: null, until: null },
    ...fields,
  };
}

function event(fields: Partial<NewEvent> = {}): NewEvent {
  return {
    ...{ id: newId("evt"), jobId: null, name: "paid", key: null, payload: "1" },
    idempotencyKey: null,
    ...fields,
  };
}

const park = (fields = {}): Outcome => ({
  kind: "park",
  timed: [],
  deadline: null,
  accepted: [],
  ...fields,
});
const DONE: Outcome = { kind: "complete", result: "null" };

describe("steps of runs in a KV", () => {
  it("cost a commit each for a lone run, and share commits among many", async () => {
    await using t = await open();
    const [{ lease }] = await t.start();
    await t.runs.save([step(lease, 0)]);
    const { commits } = t.counter;
    for (const n of range(20)) await t.runs.save([step(lease, n + 1)]);
    assertEquals(t.counter.commits - commits, 20);
    const many = await t.start(400);
    await t.runs.save(many.map(({ lease }) => step(lease, 0)));
    const before = t.counter.commits;
    await t.runs.save(many.map(({ lease }) => step(lease, 1)));
    assertEquals(t.counter.commits - before, 1);
    await t.store.jobs.settle(many.map(({ lease }) => ({ lease, outcome: DONE, isRun: true })));
    assert(t.counter.commits - before <= 4, `${t.counter.commits - before} commits`);
  });

  it("may have results as large as a payload, which go with the run", async () => {
    await using t = await open();
    const [{ job, lease }] = await t.start();
    const large = text(LARGEST);
    const writes = range(3).map((n) => step(lease, n, { result: large }));
    assertEquals(await t.runs.save(writes), ["saved", "saved", "saved"]);
    const over = step(lease, 3, { result: text(LARGEST + 3000) });
    assertEquals(await codeOf(() => t.runs.save([over])), "payload_too_large");
    await t.events.publish([event({ jobId: job.id, payload: large })]);
    const [given] = await t.runs.wait([wait(lease, 3)]);
    assert(given?.result === `{"name":"paid","payload":${large}}`);
    const query = { jobId: job.id, after: null, limit: 10, pending: false };
    const [steps] = await t.runs.checkpoints([query]);
    assertEquals(steps.map(({ result }) => result?.length), [
      ...[LARGEST, LARGEST, LARGEST],
      LARGEST + 26,
    ]);
    await t.settle(lease, DONE);
    await t.store.jobs.remove(job.id);
    const left = [];
    for await (const { key } of t.kv.list({ prefix: ["dispatch"] })) left.push(key[1]);
    assertEquals(
      left.filter((section) => ["b", "step", "open", "run"].includes(section as string)),
      [],
    );
  });

  it("may be 5,000, also where they are given up, undone and forgotten", async () => {
    await using t = await open();
    const [{ job, lease }] = await t.start();
    await t.runs.save(range(5000).map((n) => step(lease, n)));
    const count = async () => {
      const query = { jobId: job.id, after: null, limit: 10_000, pending: false };
      return (await t.runs.checkpoints([query]))[0].length;
    };
    assertEquals(await count(), 5000);
    const failure = { code: "handler_failed", message: "no" } as const;
    const rewind = { step: 3500, from: 4000 };
    await t.settle(lease, { kind: "retry", failure, delayMs: 0, rewind });
    assertEquals(await count(), 3999);
    await t.runs.rewind(job.id, 2000);
    assertEquals(await count(), 2000);
    const [again] = await t.claim();
    await t.settle(again.lease, { kind: "compensate", cause: failure });
    await t.settle((await t.claim())[0].lease, { kind: "dead", failure });
    await t.store.jobs.retry(job.id);
    assertEquals(await count(), 0, "it starts afresh");
    const [last] = await t.claim();
    await t.runs.save(range(3000).map((n) => step(last.lease, n)));
    await t.settle(last.lease, DONE);
    assertEquals(await t.store.jobs.prune({ completed: -1, failed: null, cancelled: null }, 10), 1);
    assertEquals(await count(), 0);
  });

  it("that wait may be 1,500: all of their results are given to a run that parks", async () => {
    await using t = await open(10);
    const [{ job, lease }] = await t.start();
    const naps = range(1500).map((n) =>
      wait(lease, n, { kind: "sleep", events: [], name: "nap", delayMs: 0 })
    );
    await t.runs.wait(naps);
    const accepted = range(1500).map((position) => ({ position, seq: position + 1 }));
    assertEquals(await t.settle(lease, park({ accepted })), "settled");
    const query = { jobId: job.id, after: null, limit: 10, pending: true };
    assertEquals(await t.runs.checkpoints([query]), [[]]);
    assert((await t.store.jobs.get([job.id]))[0]!.runAt > Date.now() + 1e9, "nothing wakes it");
  });
});

describe("a wait for many events in a KV", () => {
  it("ends with any of 400 names, and is refused for more", async () => {
    await using t = await open();
    const [{ job, lease }] = await t.start();
    const names = range(401).map((n) => `paid ${n}`);
    assertEquals(
      await codeOf(() => t.runs.wait([wait(lease, 0, { events: names })])),
      "invalid_step",
    );
    const [open400] = await t.runs.wait([wait(lease, 0, { events: names.slice(1) })]);
    assertEquals(open400?.state, "open");
    await t.settle(lease, park());
    assertEquals((await t.events.publish([event({ name: "paid 400" })]))[0].delivered, 1);
    assertEquals((await t.claim())[0].job.id, job.id);
  });
});

describe("an event for many runs in a KV", () => {
  for (const maxChecks of [Infinity, 10]) {
    it(`reaches each of them once, with ${maxChecks} checks in a commit`, async () => {
      await using t = await open(maxChecks);
      const claimed = await t.start(150);
      await t.runs.wait(claimed.map(({ lease }) => wait(lease, 0)));
      const half = claimed.filter((_, i) => i % 2 === 0);
      await t.store.jobs.settle(
        half.map(({ lease }) => ({ lease, outcome: park(), isRun: true })),
      );
      const [{ delivered }] = await t.events.publish([event()]);
      assertEquals(delivered, 150);
      assertEquals((await t.claim(half.length)).length, 75);
    });
  }

  for (const fatal of [1, 2, 3, 5]) {
    it(`reaches all of them or none when its sender dies at commit ${fatal}`, async () => {
      await using t = await open(10);
      const claimed = await t.start(15);
      await t.runs.wait(claimed.map(({ lease }) => wait(lease, 0)));
      await t.store.jobs.settle(
        claimed.map(({ lease }) => ({ lease, outcome: park(), isRun: true })),
      );
      t.counter.left = fatal - 1;
      await t.events.publish([event()]).catch(() => {});
      const heir = t.heir();
      await heir.jobs.rescue(0);
      const woken = await heir.jobs.claim({ ...CLAIM, names: [NAME] });
      assertEquals(woken.length, fatal === 1 ? 0 : 15);
      const ids = claimed.map(({ job }) => job.id);
      const queries = ids.map((jobId) => ({ jobId, after: null, limit: 9, pending: false }));
      const steps = (await heir.runs!.checkpoints(queries)).flat();
      const state = fatal === 1 ? "open" : "completed";
      assertEquals(new Set(steps.map((step) => step.state)), new Set([state]));
    });
  }
});

describe("a family of runs in a KV", () => {
  for (const fatal of [1, 2, 3, 5, 8, Infinity]) {
    it(`is cancelled whole or not at all when the process dies at commit ${fatal}`, async () => {
      await using t = await open(10);
      const [root] = await t.start();
      const child = (position: number) =>
        step(root.lease, position, {
          ...{ kind: "child", state: "open", result: null, seq: null },
          child: newJob({ name: NAME }),
        });
      await t.runs.save(range(12).map(child));
      const [one] = await t.claim();
      const grandchild = { ...child(0), lease: one.lease };
      await t.runs.save([grandchild, {
        ...grandchild,
        position: 1,
        child: newJob({ name: NAME }),
      }]);
      for (const { lease } of [root, one]) await t.settle(lease, park());
      t.counter.left = fatal - 1;
      await t.store.jobs.cancel(root.job.id).catch(() => {});
      t.counter.left = Infinity;
      await t.heir().jobs.rescue(0);
      assertEquals(await t.states(), new Set([fatal === 1 ? "pending" : "cancelled"]));
      assertEquals((await t.runs.counts())[fatal === 1 ? "running" : "cancelled"], 15);
    });
  }

  it("is told of a child that ended just before its process died, also where that is pruned", async () => {
    await using t = await open();
    const [parent] = await t.start();
    const fields = { kind: "child", state: "open", result: null, seq: null } as const;
    const child = newJob({ name: NAME });
    await t.runs.save([step(parent.lease, 0, { ...fields, child })]);
    await t.settle(parent.lease, park());
    const [{ lease }] = await t.claim();
    t.counter.left = 1;
    assertEquals(await t.settle(lease, { kind: "complete", result: '"done"' }), "settled");
    const heir = t.heir();
    assertEquals((await heir.runs!.get([parent.job.id]))[0]!.open.length, 1, "nobody was told");
    assertEquals(await heir.jobs.prune({ completed: -1, failed: null, cancelled: null }, 10), 1);
    const [woken] = await heir.jobs.claim({ ...CLAIM, names: [NAME] });
    assertEquals(woken.job.id, parent.job.id);
    const query = { jobId: parent.job.id, after: null, limit: 9, pending: false };
    assertEquals((await heir.runs!.checkpoints([query]))[0][0].result, '"done"');
  });
});
