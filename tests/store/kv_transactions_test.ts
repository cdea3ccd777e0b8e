/** Jobs in the atomic operations of others. */

import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { createExtension, defineJob, silentLogger } from "../../mod.ts";
import { kvStore } from "../../src/store/kv/store.ts";
import { codeOf, errorOf } from "../harness.ts";
import { newJob } from "../../src/testing/suite/context.ts";
import { CLAIM } from "../kv.ts";

async function open() {
  const kv = await Deno.openKv(":memory:");
  const store = kvStore(kv);
  await store.migrate();
  return { kv, store, transactions: store.transactions!, [Symbol.dispose]: () => kv.close() };
}

describe("enqueue in an atomic operation", () => {
  it("adds the job exactly when its caller commits", async () => {
    using t = await open();
    const [kept, dropped] = [t.kv.atomic().set(["order"], 1), t.kv.atomic()];
    const jobs = [newJob(), newJob({ delayMs: 60_000 })];
    const records = await t.transactions.enqueue(kept, jobs);
    await t.transactions.enqueue(dropped, [newJob()]);
    assertEquals((await t.store.jobs.counts()).pending, 0);
    await kept.commit();
    assertEquals((await t.store.jobs.counts()).pending, 2);
    assertEquals(await t.store.jobs.get(jobs.map(({ id }) => id)), records);
    assertEquals((await t.kv.get(["order"])).value, 1);
    assertEquals((await t.store.jobs.claim(CLAIM)).length, 1);
  });

  it("adds nothing where a check of its caller fails", async () => {
    using t = await open();
    await t.kv.set(["order"], 1);
    const op = t.kv.atomic().check({ key: ["order"], versionstamp: null });
    await t.transactions.enqueue(op, [newJob()]);
    assertEquals((await op.commit()).ok, false);
    assertEquals((await t.store.jobs.counts()).pending, 0);
  });

  it("returns whoever holds a unique key, and fails where somebody takes it meanwhile", async () => {
    using t = await open();
    const key = { uniqueKey: "invoice-7" };
    const late = t.kv.atomic();
    await t.transactions.enqueue(late, [newJob(key)]);
    const [holder] = await t.store.jobs.enqueue([newJob(key)]);
    assertEquals((await late.commit()).ok, false);
    const op = t.kv.atomic();
    assertEquals((await t.transactions.enqueue(op, [newJob(key)]))[0].id, holder.id);
    assertEquals((await op.commit()).ok, true);
    assertEquals((await t.store.jobs.counts()).pending, 1);
  });

  it("refuses what is no atomic operation", async () => {
    using t = await open();
    for (const tx of [{}, "tx", 1, t.kv, null]) {
      assertEquals(
        await codeOf(() => t.transactions.enqueue(tx, [newJob()])),
        "unsupported_client",
      );
    }
  });
});

describe("job.transaction() in a KV", () => {
  async function claimed(t: Awaited<ReturnType<typeof open>>) {
    await t.store.jobs.enqueue([newJob()]);
    const [{ lease }] = await t.store.jobs.claim(CLAIM);
    return lease;
  }
  const write = (tx: unknown, value: string) =>
    Promise.resolve(void (tx as Deno.AtomicOperation).set(["effect"], value)).then(() => '"ok"');

  it("completes the job together with what its handler writes", async () => {
    using t = await open();
    const lease = await claimed(t);
    // Heartbeats and other settlements meanwhile do no harm.
    const status = await t.transactions.complete(lease, async (tx) => {
      assertEquals(await t.store.jobs.extend([{ lease, progress: "1" }], 1000), ["held"]);
      return write(tx, "done");
    });
    assertEquals(status, "settled");
    const [job] = await t.store.jobs.get([lease.jobId]);
    assertEquals([job?.state, job?.result, job?.progress], ["completed", '"ok"', "1"]);
    assertEquals((await t.kv.get(["effect"])).value, "done");
    assertEquals(await t.store.jobs.extend([{ lease }], 1000), ["lost"]);
  });

  it("applies nothing where the lease was lost, before or meanwhile", async () => {
    using t = await open();
    const lease = await claimed(t);
    const peer = kvStore(t.kv);
    const outcome = { kind: "release", delayMs: 0 } as const;
    const lost = await t.transactions.complete(lease, async (tx) => {
      await peer.jobs.settle([{ lease, outcome }]);
      return write(tx, "forged");
    });
    assertEquals(lost, "lost");
    assertEquals(await t.transactions.complete(lease, (tx) => write(tx, "forged")), "lost");
    assertEquals((await t.kv.get(["effect"])).value, null);
    assertEquals((await t.store.jobs.counts()).pending, 1);
  });

  it("applies nothing where the handler throws, and passes that on", async () => {
    using t = await open();
    const lease = await claimed(t);
    const work = async (tx: unknown) => {
      await write(tx, "half");
      throw new Error("no stock");
    };
    await assertRejects(() => t.transactions.complete(lease, work), Error, "no stock");
    assertEquals((await t.kv.get(["effect"])).value, null);
    assertEquals(await t.store.jobs.extend([{ lease }], 1000), ["held"]);
  });

  it("says so where a check of the handler fails: the lease is still held", async () => {
    using t = await open();
    const lease = await claimed(t);
    await t.kv.set(["stock"], 0);
    const error = await errorOf(() =>
      t.transactions.complete(lease, (tx) => {
        (tx as Deno.AtomicOperation).check({ key: ["stock"], versionstamp: null });
        return write(tx, "sold");
      })
    );
    assertEquals(error.code, "wrong_state");
    assertEquals((await t.kv.get(["effect"])).value, null);
    assertEquals(await t.transactions.complete(lease, (tx) => write(tx, "again")), "settled");
  });

  it("does not let the handler commit by itself", async () => {
    using t = await open();
    const lease = await claimed(t);
    const error = await errorOf(() =>
      t.transactions.complete(lease, async (tx) => {
        await (tx as Deno.AtomicOperation).set(["effect"], "half").commit();
        return "null";
      })
    );
    assertEquals(error.code, "invalid_option");
    assertEquals((await t.kv.get(["effect"])).value, null);
  });

  it("works through the engine, with a job that is enqueued on the way", async () => {
    using t = await open();
    const Next = defineJob({ name: "next", handler: (n: number) => n + 1 });
    const Charge = defineJob({
      name: "charge",
      handler: (n: number, job) =>
        job.transaction(async (op: Deno.AtomicOperation) => {
          op.set(["paid", n], true);
          const next = await job.engine.enqueue(Next, n, { tx: op });
          return next.id;
        }),
    });
    const store = t.store;
    await using ext = createExtension({
      store,
      jobs: [Next, Charge],
      config: false,
      logger: silentLogger,
    });
    await ext.start();
    const { id } = await ext.engine.enqueue(Charge, 7);
    const next = await ext.engine.result(id, { timeout: "20s" });
    assertEquals(await ext.engine.result(next as string, { timeout: "20s" }), 8);
    assertEquals((await t.kv.get(["paid", 7])).value, true);
  });
});
