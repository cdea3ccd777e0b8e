/** Jobs that stand in line together under one key. */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { newId } from "../../src/core/id.ts";
import type { NewJob } from "../../src/core/job.ts";
import { openKv } from "../../src/store/kv/open.ts";
import { kvStore } from "../../src/store/kv/store.ts";
import { heldClock } from "../../src/testing/mod.ts";
import { newJob } from "../../src/testing/suite/context.ts";
import { CLAIM } from "../kv.ts";

async function open() {
  const kv = await openKv(":memory:");
  const clock = heldClock();
  const { jobs } = kvStore(kv, { clock });
  const claim = async (limit: number, names = ["mail"]) =>
    await jobs.claim({ ...CLAIM, names, limit });
  const places = async () => {
    let count = 0;
    for await (const _ of kv.list({ prefix: ["dispatch", "r"] })) count++;
    return count;
  };
  return { clock, jobs, claim, places, [Symbol.dispose]: () => kv.close() };
}

const idsOf = (claimed: readonly { job: { id: string } }[]) => claimed.map(({ job }) => job.id);

describe("jobs that are enqueued together", () => {
  it("stand under a few keys, and are claimed in any portions, in their order", async () => {
    using t = await open();
    const added = await t.jobs.enqueue(Array.from({ length: 300 }, () => newJob()));
    assertEquals(await t.places(), 10);
    const claimed: string[] = [];
    for (const limit of [1, 1, 30, 7, 100, 64, 500]) claimed.push(...idsOf(await t.claim(limit)));
    assertEquals(claimed, added.map(({ id }) => id));
    assertEquals(await t.places(), 0);
  });

  it("are in one line with those of other calls at the same moment", async () => {
    using t = await open();
    const jobs = Array.from({ length: 90 }, () => newJob());
    for (const part of [0, 1, 2]) await t.jobs.enqueue(jobs.filter((_, i) => i % 3 === part));
    const claimed: string[] = [];
    for (const limit of [1, 20, 3, 100]) claimed.push(...idsOf(await t.claim(limit)));
    assertEquals(claimed, jobs.map(({ id }) => id));
  });

  it("may be taken out one by one, from the front, the middle and the end", async () => {
    using t = await open();
    const added = await t.jobs.enqueue(Array.from({ length: 10 }, () => newJob()));
    const ids = added.map(({ id }) => id);
    for (const at of [0, 4, 9]) await t.jobs.cancel(ids[at]);
    await t.jobs.remove(ids[5]);
    await t.jobs.retry(ids[0]); // at the same moment: it is the first again
    assertEquals(idsOf(await t.claim(100)), [0, 1, 2, 3, 6, 7, 8].map((at) => ids[at]));
    assertEquals(await t.places(), 0);
  });

  it("stay when the first of them comes back at the same moment", async () => {
    using t = await open();
    const added = await t.jobs.enqueue(Array.from({ length: 5 }, () => newJob()));
    const [{ lease }] = await t.claim(1);
    await t.jobs.settle([{ lease, outcome: { kind: "release", delayMs: 0 } }]);
    assertEquals(idsOf(await t.claim(100)), added.map(({ id }) => id));
  });

  it("are each claimed once or taken out, whatever happens in between", async () => {
    using t = await open();
    const waiting = new Map<string, NewJob>();
    const gone = new Set<string>();
    let seed = 7;
    const random = (n: number) => (seed = (seed * 16807) % 2147483647) % n;
    const order = (a: NewJob, b: NewJob) => b.priority - a.priority || (a.id < b.id ? -1 : 1);
    const name = () => ["mail", "print"][random(2)];
    for (let round = 0; round < 400; round++) {
      const dice = random(4);
      if (dice === 0) {
        const added = Array.from(
          { length: 1 + random(60) },
          () => newJob({ id: newId("job"), name: name(), priority: random(2) }),
        );
        await t.jobs.enqueue(random(2) === 0 ? added : added.toReversed());
        for (const job of added) waiting.set(job.id, job);
      } else if (dice === 1 && waiting.size > 0) {
        const id = [...waiting.keys()][random(waiting.size)];
        await t.jobs[random(2) === 0 ? "cancel" : "remove"](id);
        waiting.delete(id);
      } else {
        const names = [["mail"], ["print"], ["mail", "print"]][random(3)];
        const limit = 1 + random(20);
        const expected = [...waiting.values()].filter((job) => names.includes(job.name))
          .sort(order).slice(0, limit).map(({ id }) => id);
        const claimed = await t.claim(limit, names);
        assertEquals(idsOf(claimed), expected);
        for (const id of expected) gone.add(id), waiting.delete(id);
        const back = claimed.filter(() => random(4) === 0);
        const outcome = { kind: "release", delayMs: 0 } as const;
        await t.jobs.settle(back.map(({ lease }) => ({ lease, outcome })));
        for (const { job: { id, name, priority } } of back) {
          waiting.set(id, newJob({ id, name, priority }));
          gone.delete(id);
        }
      }
    }
    assertEquals((await t.jobs.counts()).running, gone.size);
    assertEquals((await t.claim(5000, ["mail", "print"])).length, waiting.size);
    assertEquals(await t.places(), 0);
  });
});
