/** What is too large or too many for one value or one commit. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { withPrefix } from "../../src/core/id.ts";
import type { KvEntry } from "../../src/store/kv/client.ts";
import { openKv } from "../../src/store/kv/open.ts";
import { kvStore } from "../../src/store/kv/store.ts";
import { codeOf, errorOf } from "../harness.ts";
import { newJob } from "../../src/testing/suite/context.ts";
import { CLAIM, troubled } from "../kv.ts";

const LARGEST = 640 * 1024;
const text = (bytes: number, letter = "x") => JSON.stringify(letter.repeat(bytes - 2));

async function open(before?: () => void) {
  const kv = await openKv(":memory:");
  const store = kvStore(before === undefined ? kv : troubled(kv, { before }));
  await store.migrate();
  return { kv, store, [Symbol.dispose]: () => kv.close() };
}

async function entries(kv: Awaited<ReturnType<typeof openKv>>): Promise<KvEntry[]> {
  const all = [];
  for await (const entry of kv.list({ prefix: ["dispatch"] })) all.push(entry);
  return all;
}

describe("a value over the limit of a KV", () => {
  it("is kept in pieces, and they are removed together with the job", async () => {
    using t = await open();
    const job = newJob({ payload: text(LARGEST), tags: Array(50).fill("t".repeat(200)) });
    await t.store.jobs.enqueue([job]);
    const [{ job: claimed, lease }] = await t.store.jobs.claim(CLAIM);
    assert(claimed.payload === job.payload);
    assertEquals([...claimed.tags], [...job.tags]);
    const progress = text(200_000, "p");
    assertEquals(await t.store.jobs.extend([{ lease, progress }], 1000), ["held"]);
    assertEquals(await t.store.jobs.extend([{ lease }], 1000), ["held"]);
    const failure = { code: "handler_failed", message: "é".repeat(4000), stack: "s".repeat(4000) };
    const outcome = { kind: "dead", failure } as const;
    // @ts-expect-error the code is one of many
    assertEquals(await t.store.jobs.settle([{ lease, outcome }]), ["settled"]);
    const [dead] = await t.store.jobs.get([job.id]);
    assert(dead?.payload === job.payload && dead.progress === progress);
    assertEquals<unknown>(dead.failure, failure);
    const letter = withPrefix("dlq", job.id);
    assert((await t.store.deadLetters.get(letter))?.payload === job.payload);
    await t.store.jobs.remove(job.id);
    assertEquals(await t.store.deadLetters.purge({}, 10), 1);
    const pieces = (await entries(t.kv)).filter(({ key }) => key[1] === "b");
    assertEquals(pieces.map(({ key }) => key), []);
  });

  it("over 640 KiB is refused with what to do instead, and nothing is stored", async () => {
    using t = await open();
    const before = (await entries(t.kv)).length;
    const error = await errorOf(() =>
      t.store.jobs.enqueue([newJob(), newJob({ payload: text(LARGEST + 1) })])
    );
    assertEquals(error.code, "payload_too_large");
    assertStringIncludes(error.message, "655361 bytes");
    assertStringIncludes(error.hint, "reference");
    assertEquals((await entries(t.kv)).length, before);
    assertEquals(t.store.maxPayloadBytes, LARGEST);
  });
});

describe("a call over the limit of a commit", () => {
  it("is stored whole: thousands of jobs, or several large ones", async () => {
    using t = await open();
    const jobs = Array.from({ length: 3000 }, (_, n) => newJob({ payload: String(n) }));
    const stored = await t.store.jobs.enqueue(jobs);
    assertEquals(stored.map(({ id }) => id), jobs.map(({ id }) => id));
    assertEquals((await t.store.jobs.counts()).pending, 3000);
    const large = Array.from({ length: 4 }, () => newJob({ payload: text(LARGEST), priority: 1 }));
    await t.store.jobs.enqueue(large);
    const claimed = await t.store.jobs.claim({ ...CLAIM, limit: 2000 });
    assertEquals(claimed.length, 2000);
    assertEquals(claimed.slice(0, 4).map(({ job }) => job.id), large.map(({ id }) => id));
    const settled = await t.store.jobs.settle(claimed.map(({ lease }) => ({
      lease,
      outcome: { kind: "complete", result: '"done"' },
    })));
    assertEquals(new Set(settled), new Set(["settled"]));
    assertEquals((await t.store.jobs.counts()).completed, 2000);
    assertEquals((await entries(t.kv)).filter(({ key }) => key[1] === "i"), []);
  });

  for (const fatal of [1, 2, 3, 4, 5, 6]) {
    it(`is stored whole or not at all when its process dies at commit ${fatal}`, async () => {
      let left = Infinity;
      using t = await open(() => {
        if (left-- <= 0) throw new Error("the process has died");
      });
      left = fatal - 1;
      const jobs = Array.from(
        { length: 1500 },
        (_, n) => newJob({ payload: text(600), ...(n % 10 === 0 && { uniqueKey: `key-${n}` }) }),
      );
      await assertRejects(() => t.store.jobs.enqueue(jobs), Error, "died");
      const heir = kvStore(t.kv);
      await heir.jobs.rescue(100); // what every worker does at start
      const { pending } = await heir.jobs.counts();
      assert([0, 1500].includes(pending), `${pending} jobs`);
      assertEquals((await heir.jobs.list({ limit: 5000, offset: 0 })).items.length, pending);
      const [again] = await heir.jobs.enqueue([newJob({ uniqueKey: "key-0" })]);
      assertEquals(again.id === jobs[0].id, pending === 1500);
    });
  }

  it("in an operation of yours is refused before anything is added", async () => {
    using t = await open();
    const op = t.kv.atomic();
    const jobs = Array.from({ length: 2000 }, () => newJob());
    assertEquals(await codeOf(() => t.store.transactions!.enqueue(op, jobs)), "invalid_option");
    await op.commit();
    assertEquals((await t.store.jobs.counts()).pending, 0);
  });
});

describe("a settlement that is only half written", () => {
  it("is answered as it was written when it is asked for again", async () => {
    let left = Infinity;
    using t = await open(() => {
      if (left-- <= 0) throw new Error("no more");
    });
    await t.store.jobs.enqueue(Array.from({ length: 1000 }, () => newJob()));
    const claimed = await t.store.jobs.claim(CLAIM);
    const outcome = { kind: "complete", result: "null" } as const;
    const settlements = claimed.map(({ lease }) => ({ lease, outcome }));
    left = 1;
    await assertRejects(() => t.store.jobs.settle(settlements), Error, "no more");
    left = Infinity;
    assertEquals(
      new Set(await t.store.jobs.settle(settlements)),
      new Set(["settled"]),
    );
    assertEquals((await t.store.jobs.counts()).completed, 1000);
    assertEquals(new Set(await t.store.jobs.settle(settlements)), new Set(["lost"]));
  });
});
