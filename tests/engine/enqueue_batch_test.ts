import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DispatchError } from "../../src/core/errors.ts";
import { createBatcher } from "../../src/engine/batcher.ts";
import { codeOf, gate, startRig, type StoreCall, turns } from "../harness.ts";

/** An engine whose writes of new jobs go through `around`. */
function rigWhere(around: (call: StoreCall, proceed: () => Promise<unknown>) => Promise<unknown>) {
  return startRig({
    concurrency: 0,
    around: (call, proceed) => call.name === "jobs.enqueue" ? around(call, proceed) : proceed(),
  });
}

describe("concurrent enqueues", () => {
  it("share writes: 1,000 callers of one turn need one, what comes meanwhile goes in the next", async () => {
    const sizes: number[] = [];
    const first = gate();
    await using rig = await rigWhere(async ({ args }, proceed) => {
      sizes.push(args[0].length);
      if (sizes.length === 1) await first.promise;
      return proceed();
    });
    const early = Array.from({ length: 1000 }, (_, n) => rig.engine.enqueue("x", n));
    await turns();
    const late = Array.from({ length: 1500 }, (_, n) => rig.engine.enqueue("x", 1000 + n));
    await turns();
    first.open();
    const jobs = await Promise.all([...early, ...late]);
    assertEquals(sizes, [1000, 1000, 500]);
    assertEquals(jobs.map((job) => job.payload), jobs.map((_, n) => n));
  });

  it("fail only for the caller whose job the store refuses", async () => {
    const fresh: boolean[] = [];
    await using rig = await rigWhere(({ args }, proceed) => {
      fresh.push(args[1]);
      const refused = args[0].some((job: { payload: string }) => job.payload === "3");
      return refused ? Promise.reject(new Error("refused")) : proceed();
    });
    const calls = Array.from({ length: 10 }, (_, n) => rig.engine.enqueue("x", n));
    const results = await Promise.allSettled(calls);
    assertEquals(results.map((r) => r.status === "fulfilled"), results.map((_, n) => n !== 3));
    assertEquals((await rig.engine.jobs.counts()).pending, 9);
    assertEquals(fresh, [true, ...results.map(() => false)], "what is sent again is looked for");
  });

  it("all fail at once when the store is not there, after a single try", async () => {
    let tries = 0;
    await using rig = await rigWhere(() => {
      tries++;
      return Promise.reject(new DispatchError("store_unreachable", "gone"));
    });
    const calls = Array.from({ length: 10 }, () => codeOf(() => rig.engine.enqueue("x")));
    assertEquals(new Set(await Promise.all(calls)), new Set(["store_unreachable"]));
    assertEquals(tries, 1);
  });

  it("reject with the store's own error during an outage, and work again after it", async () => {
    let down = true;
    await using rig = await rigWhere((_, proceed) =>
      down ? Promise.reject(new TypeError("connection reset")) : proceed()
    );
    await assertRejects(() => rig.engine.enqueue("x"), TypeError, "connection reset");
    await assertRejects(() => rig.engine.enqueueMany([{ job: "x" }]), TypeError);
    down = false;
    await rig.engine.enqueue("x");
    assertEquals((await rig.engine.jobs.counts()).pending, 1);
  });

  it("add no job twice when only the answer of a write was lost", async () => {
    let writes = 0;
    await using rig = await rigWhere(async (_, proceed) => {
      const records = await proceed();
      if (++writes === 1) throw new Error("connection reset");
      return records;
    });
    const jobs = await Promise.all([1, 2, 3].map((n) => rig.engine.enqueue("x", n)));
    assertEquals(jobs.map((job) => job.payload), [1, 2, 3]);
    assertEquals((await rig.engine.jobs.counts()).pending, 3);
    assertEquals((await rig.engine.jobs.list()).length, 3);
  });
});

describe("createBatcher()", () => {
  it("adds no wait for a lone caller", async () => {
    const batcher = createBatcher((items: readonly number[]) => Promise.resolve(items), 10);
    let done = false;
    void batcher(1).then(() => (done = true));
    for (let i = 0; i < 10; i++) await undefined;
    assert(done);
  });
});
