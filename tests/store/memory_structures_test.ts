import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import type { NewJob } from "../../src/core/job.ts";
import type { Entry } from "../../src/store/memory/entry.ts";
import { Heap } from "../../src/store/memory/heap.ts";
import { OrderedLog } from "../../src/store/memory/ordered_log.ts";
import { pageOf } from "../../src/store/memory/page.ts";
import { ReadyQueue } from "../../src/store/memory/ready_queue.ts";
import { memoryStore } from "../../src/store/memory/store.ts";
import { heldClock } from "../../src/testing/mod.ts";
import { DONE, FAILURE, ids, newJob, range } from "../../src/testing/suite/context.ts";

const NOW = Date.UTC(2026, 0, 1);
const ANY = {
  workerId: "worker-1",
  queues: ["default"],
  names: ["mail"],
  leaseMs: 1000,
  suspects: false,
};

/** Takes everything out of a heap. */
function popAll<Item>(heap: Heap<Item>): Item[] {
  return range(heap.size).map(() => heap.pop()!);
}

describe("Heap", () => {
  it("gives back in order what was put in out of order", () => {
    fc.assert(fc.property(fc.array(fc.integer()), (numbers) => {
      const heap = new Heap<number>((a, b) => a < b);
      for (const number of numbers) heap.push(number);
      assertEquals(heap.peek(), numbers.length === 0 ? undefined : Math.min(...numbers));
      assertEquals(popAll(heap), numbers.toSorted((a, b) => a - b));
      assertEquals([heap.size, heap.peek(), heap.pop()], [0, undefined, undefined]);
    }));
  });

  it("keeps its order when items between the others are dropped", () => {
    fc.assert(fc.property(fc.array(fc.nat()), fc.integer({ min: 1, max: 5 }), (numbers, nth) => {
      const heap = new Heap<number>((a, b) => a < b);
      for (const number of numbers) heap.push(number);
      heap.keep((number) => number % nth === 0);
      const kept = numbers.filter((number) => number % nth === 0);
      assertEquals(popAll(heap), kept.sort((a, b) => a - b));
    }));
  });
});

describe("ReadyQueue", () => {
  /** A job as far as a line looks at it. */
  const entry = (fields: Partial<NewJob> = {}): Entry => {
    const { id, priority, runAt } = newJob({ runAt: NOW, ...fields });
    return { job: { id, priority, runAt }, ticket: null, line: null } as unknown as Entry;
  };
  const takeAll = (line: ReadyQueue, now: number): Entry[] => {
    const taken: Entry[] = [];
    while (line.peek(now) !== null) taken.push(line.pop());
    return taken;
  };

  it("lets jobs leave from any place, and stand in line again", () => {
    const line = new ReadyQueue();
    const entries = range(10).map(() => entry());
    for (const one of entries) line.push(one, NOW);
    for (const at of [0, 4, 9]) line.remove(entries[at]);
    line.remove(entries[4]); // a second time does no harm
    line.push(entries[9], NOW);
    assertEquals(takeAll(line, NOW), [1, 2, 3, 5, 6, 7, 8, 9].map((at) => entries[at]));
    assertEquals(line.nextDue(NOW), null);
  });

  it("forgets levels of priority that have become empty, and takes them up again", () => {
    const line = new ReadyQueue();
    for (const _ of range(3)) {
      const [low, high] = [entry({ priority: 1 }), entry({ priority: 5 })];
      for (const one of [low, high]) line.push(one, NOW);
      assertEquals(takeAll(line, NOW), [high, low]);
    }
  });

  it("knows what is due next when most of what waited has left", () => {
    const line = new ReadyQueue();
    const entries = range(1000).map((i) => entry({ runAt: NOW + 1 + i }));
    for (const one of entries) line.push(one, NOW);
    for (const [i, one] of entries.entries()) if (i % 100 !== 99) line.remove(one);
    assertEquals(line.nextDue(NOW), NOW + 100);
    assertEquals(line.peek(NOW + 99), null);
    assertEquals(takeAll(line, NOW + 250), [entries[99], entries[199]]);
    assertEquals(line.nextDue(NOW + 250), NOW + 300);
    assertEquals(takeAll(line, NOW + 1000).length, 8);
    assertEquals(line.nextDue(NOW + 1000), null);
  });
});

describe("OrderedLog", () => {
  interface Item {
    readonly key: string;
    gone: boolean;
  }
  const newLog = () => new OrderedLog<Item>(({ key }) => key, /^\d{4}$/, ({ gone }) => gone);
  const item = (n: number): Item => ({ key: String(n).padStart(4, "0"), gone: false });
  const keys = (items: Iterable<Item>) => [...items].map(({ key }) => Number(key));
  const all = { limit: 1000, offset: 0 };

  it("lists from the newest key what arrived in any order, also between two reads", () => {
    const log = newLog();
    for (const n of [3, 1, 2]) log.add(item(n));
    assertEquals(keys(pageOf(log, all, () => true).items), [3, 2, 1]);
    for (const n of [0, 5, 4]) log.add(item(n));
    assertEquals(keys(pageOf(log, all, () => true).items), [5, 4, 3, 2, 1, 0]);
    assertEquals(keys(log.sorted()), [0, 1, 2, 3, 4, 5]);
  });

  it("overlooks what is gone, before and after it has made room", () => {
    const log = newLog();
    const items = range(1000).map(item);
    for (const one of items) log.add(one);
    for (const one of items.slice(5, 990)) {
      one.gone = true;
      log.noteGone();
    }
    const left = [0, 1, 2, 3, 4, 990, 991, 992, 993, 994, 995, 996, 997, 998, 999];
    assertEquals(keys(log.sorted().filter(({ gone }) => !gone)), left);
    const { items: page, nextCursor } = pageOf(log, { limit: 12, offset: 0 }, () => true);
    assertEquals(keys(page), left.toReversed().slice(0, 12));
    const rest = pageOf(log, { limit: 12, offset: 0, cursor: nextCursor! }, () => true);
    assertEquals([keys(rest.items), rest.nextCursor], [[2, 1, 0], null]);
  });

  it("goes on behind a key that is gone", () => {
    const log = newLog();
    const items = range(6).map(item);
    for (const one of items) log.add(one);
    const { nextCursor } = pageOf(log, { limit: 3, offset: 0 }, () => true);
    items[3].gone = true;
    log.noteGone();
    const rest = pageOf(log, { limit: 3, offset: 0, cursor: nextCursor! }, () => true);
    assertEquals(keys(rest.items), [2, 1, 0]);
  });
});

describe("memoryStore() with many jobs", () => {
  it("claims 100,000 jobs in order that arrived in none", async () => {
    const { jobs } = memoryStore({ clock: heldClock(NOW) });
    const count = 100_000;
    const added = range(count).map((i) => newJob({ priority: i % 3, runAt: NOW - i % 1000 }));
    // 7919 is prime and shares no factor with the count: every job comes once, far from its place.
    await jobs.enqueue(range(count).map((i) => added[(i * 7919) % count]));
    const claimed: string[] = [];
    while (claimed.length < count) {
      claimed.push(...ids(await jobs.claim({ ...ANY, limit: 1000 })));
    }
    added.sort((a, b) => b.priority - a.priority || a.runAt! - b.runAt! || (a.id < b.id ? -1 : 1));
    assertEquals(claimed.join(), added.map((job) => job.id).join());
  });

  it("is left with the right jobs when most of the future ones are cancelled", async () => {
    const clock = heldClock(NOW);
    const { jobs } = memoryStore({ clock });
    const added = await jobs.enqueue(range(10_000).map((i) => newJob({ delayMs: 1 + i })));
    const kept = added.filter((_, i) => i % 100 === 50);
    for (const job of added) if (!kept.includes(job)) await jobs.cancel(job.id);
    assertEquals(await jobs.nextDue(["default"], ["mail"]), 51);
    await clock.advance(10_000);
    assertEquals(ids(await jobs.claim({ ...ANY, limit: 10_000 })), ids(kept));
  });
});

describe("memoryStore({ maxFinished })", () => {
  it("keeps the latest of each final state, and forgets the oldest", async () => {
    const { jobs } = memoryStore({ clock: heldClock(NOW), maxFinished: 3 });
    const added = await jobs.enqueue(range(10).map(() => newJob()));
    const claimed = await jobs.claim({ ...ANY, limit: 5 });
    await jobs.settle(claimed.map(({ lease }) => ({ lease, outcome: DONE })));
    for (const { id } of added.slice(5)) await jobs.cancel(id);
    const { completed, cancelled } = await jobs.counts();
    assertEquals([completed, cancelled], [3, 3]);
    const { items } = await jobs.list({ limit: 100, offset: 0 });
    assertEquals(ids(items).reverse(), ids([...added.slice(2, 5), ...added.slice(7)]));
  });

  it("limits dead letters, and never jobs that have not finished", async () => {
    const { jobs, deadLetters } = memoryStore({ clock: heldClock(NOW), maxFinished: 2 });
    const added = await jobs.enqueue(range(8).map(() => newJob()));
    const claimed = await jobs.claim({ ...ANY, limit: 4 });
    const dead = { kind: "dead", failure: FAILURE } as const;
    await jobs.settle(claimed.map(({ lease }) => ({ lease, outcome: dead })));
    assertEquals(await deadLetters.count({}), 2);
    const { items } = await deadLetters.list({ limit: 10, offset: 0 });
    assertEquals(items.map((letter) => letter.jobId), ids([added[3], added[2]]));
    const counts = await jobs.counts();
    assertEquals([counts.failed, counts.pending], [2, 4]);
  });

  it("does not count jobs that were retried or removed", async () => {
    const { jobs } = memoryStore({ clock: heldClock(NOW), maxFinished: 2 });
    const added = await jobs.enqueue(range(4).map(() => newJob()));
    for (const { id } of added.slice(0, 2)) await jobs.cancel(id);
    await jobs.retry(added[0].id);
    await jobs.remove(added[1].id);
    for (const { id } of added.slice(2)) await jobs.cancel(id);
    assertEquals(ids((await jobs.get(ids([added[0], added[2], added[3]]))).map((job) => job!)), [
      added[0].id,
      added[2].id,
      added[3].id,
    ]);
    await jobs.cancel(added[0].id); // the oldest job, but the latest to finish
    assertEquals((await jobs.get([added[0].id]))[0]?.state, "cancelled");
    assertEquals(await jobs.get([added[2].id]), [null]);
  });
});
