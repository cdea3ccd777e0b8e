import { assertEquals } from "@std/assert";
import type { DeadLetterRecord } from "../../core/dead_letter.ts";
import { newId, withPrefix } from "../../core/id.ts";
import type { NewJob } from "../../core/job.ts";
import type { DeadLetterQuery, DeadLetterSelector } from "../../store/store.ts";
import {
  assertRefused,
  type CaseContext,
  DONE,
  FAILURE,
  range,
  readPages,
  type StoreCase,
} from "./context.ts";

/** A job that dies, and a second later it is: no two letters are of the same moment. */
async function die(t: CaseContext, fields: Partial<NewJob> = {}): Promise<DeadLetterRecord> {
  const { id } = await t.inState("failed", fields);
  const letter = await t.store.deadLetters.get(withPrefix("dlq", id));
  await t.clock.advance(1000);
  return letter!;
}

async function list(t: CaseContext, query: Partial<DeadLetterQuery> = {}) {
  return (await t.store.deadLetters.list({ limit: 100, offset: 0, ...query })).items;
}

function letterIds(letters: readonly DeadLetterRecord[]): string[] {
  return letters.map((letter) => letter.id);
}

/** Letters of two queues and two names, one of them replayed, the oldest first. */
async function fourLetters(t: CaseContext): Promise<DeadLetterRecord[]> {
  const letters = [
    await die(t, { queue: "a" }),
    await die(t, { queue: "b" }),
    await die(t, { queue: "a", name: "sms" }),
    await die(t, { queue: "b", name: "sms" }),
  ];
  await t.store.deadLetters.replay(letters[1].id, newId("job"));
  return letters;
}

/** Which of the four letters a filter selects. */
const FILTERS: readonly [DeadLetterSelector, number[]][] = [
  [{}, [0, 1, 2, 3]],
  [{ queue: "a" }, [0, 2]],
  [{ jobName: "sms" }, [2, 3]],
  [{ queue: "b", jobName: "mail" }, [1]],
  [{ replayed: true }, [1]],
  [{ replayed: false }, [0, 2, 3]],
  [{ queue: "b", replayed: false }, [3]],
  [{ olderThanMs: 2000 }, [0, 1]], // they died 4, 3, 2 and 1 seconds ago
  [{ olderThanMs: 1999 }, [0, 1, 2]],
  [{ olderThanMs: 0, replayed: false }, [0, 2, 3]],
  [{ queue: "nowhere" }, []],
];

export const deadLetterCases: readonly StoreCase[] = [
  {
    name: "dead letters are listed with the latest failure first",
    async run(t) {
      const first = await t.enqueue({ queue: "slow" });
      const letters = [await die(t), await die(t)];
      const { lease } = await t.claimOnly(first.id); // enqueued first, dies last
      await t.settle(lease, { kind: "dead", failure: FAILURE });
      const expected = [withPrefix("dlq", first.id), letters[1].id, letters[0].id];
      assertEquals(letterIds(await list(t)), expected);
    },
  },
  {
    name: "dead letters can be listed and counted by queue, name, replay and age",
    async run(t) {
      const letters = await fourLetters(t);
      for (const [filter, selected] of FILTERS) {
        const expected = letterIds(selected.map((i) => letters[i])).reverse();
        const what = JSON.stringify(filter);
        assertEquals(letterIds(await list(t, filter)), expected, what);
        assertEquals(await t.store.deadLetters.count(filter), selected.length, what);
      }
    },
  },
  {
    name: "dead letters can be read in pages, by offset and by cursor",
    async run(t) {
      const letters = [];
      for (const i of range(7)) letters.unshift(await die(t, { queue: i % 2 ? "odd" : "even" }));
      assertEquals(
        letterIds(await list(t, { limit: 2, offset: 3 })),
        letterIds(letters.slice(3, 5)),
      );
      assertEquals(await list(t, { offset: 7 }), []);
      const query = { limit: 2, offset: 0, queue: "even" };
      const pages = await readPages(
        (cursor) => t.store.deadLetters.list({ ...query, cursor }),
        () => die(t, { queue: "even" }),
      );
      assertEquals(pages.map((page) => page.length), [2, 2]);
      const even = letters.filter((letter) => letter.queue === "even");
      assertEquals(letterIds(pages.flat()), letterIds(even), "newer ones do not shift the pages");
    },
  },
  {
    name: "a dead letter that does not exist is null, and cannot be replayed",
    async run(t) {
      assertEquals(await t.store.deadLetters.get(newId("dlq")), null);
      await assertRefused(
        "not_found",
        () => t.store.deadLetters.replay(newId("dlq"), newId("job")),
      );
    },
  },
  {
    name: "replay() makes a new job that is like the one that died, and marks the letter",
    async run(t) {
      const like = {
        name: "resize",
        queue: "images",
        payload: '{"file":"ü.png"}',
        priority: 4,
        timeoutMs: 5000,
        maxRetries: 2,
        uniqueKey: "k",
        tags: ["t1", "t2"],
        scope: { appId: "app", orgId: "org" },
      };
      const letter = await die(t, { ...like, delayMs: 0 });
      const died = await t.job(letter.jobId);
      const id = newId("job");
      const replayed = await t.store.deadLetters.replay(letter.id, id);
      const now = t.clock.held;
      assertEquals(replayed, {
        ...like,
        id,
        state: "pending",
        runAt: now,
        attempt: 0,
        retryCount: 0,
        crashes: 0,
        failure: null,
        result: null,
        progress: null,
        cancelRequested: false,
        workerId: null,
        createdAt: now,
        updatedAt: now,
        startedAt: null,
        completedAt: null,
        heartbeatAt: null,
      });
      assertEquals(await t.job(id), replayed);
      assertEquals(await t.store.deadLetters.get(letter.id), { ...letter, replayedAt: now });
      assertEquals(await t.job(letter.jobId), died, "the dead job stays as it is");
      await t.claimOnly(id);
    },
  },
  {
    name: "a letter can be replayed once",
    async run(t) {
      const letter = await die(t);
      await t.store.deadLetters.replay(letter.id, newId("job"));
      const before = await t.snapshot();
      await assertRefused("wrong_state", () => t.store.deadLetters.replay(letter.id, newId("job")));
      assertEquals(await t.snapshot(), before);
    },
  },
  {
    name: "of many that replay a letter at once exactly one makes a job",
    async run(t) {
      const peers = [t.store, await t.peer(), await t.peer()];
      const letter = await die(t);
      const results = await Promise.allSettled(
        peers.map((peer) => peer.deadLetters.replay(letter.id, newId("job"))),
      );
      assertEquals(results.filter(({ status }) => status === "fulfilled").length, 1);
      assertEquals((await t.store.jobs.counts()).pending, 1);
    },
  },
  {
    name: "a letter can be replayed when its job has been removed or pruned",
    async run(t) {
      const [removed, pruned] = [await die(t), await die(t)];
      await t.store.jobs.remove(removed.jobId);
      await t.store.jobs.prune({ completed: null, failed: 0, cancelled: null }, 10);
      assertEquals((await t.store.jobs.counts()).failed, 0);
      for (const letter of [removed, pruned]) {
        const { id } = await t.store.deadLetters.replay(letter.id, newId("job"));
        const { job, lease } = await t.claimOnly(id);
        assertEquals(job.payload, letter.payload);
        await t.settle(lease, DONE);
      }
    },
  },
  {
    name: "a replayed job that dies gets a letter of its own",
    async run(t) {
      const first = await die(t);
      const { id } = await t.store.deadLetters.replay(first.id, newId("job"));
      const { lease } = await t.claimOnly(id);
      await t.settle(lease, { kind: "dead", failure: FAILURE });
      assertEquals(letterIds(await list(t)), [withPrefix("dlq", id), first.id]);
      assertEquals(await t.store.deadLetters.count({ replayed: false }), 1);
    },
  },
  {
    name: "retry() of a dead job marks its letter as replayed",
    async run(t) {
      const letter = await die(t);
      await t.store.jobs.retry(letter.jobId);
      const marked = await t.store.deadLetters.get(letter.id);
      assertEquals(marked, { ...letter, replayedAt: t.clock.held });
      await assertRefused("wrong_state", () => t.store.deadLetters.replay(letter.id, newId("job")));
    },
  },
  {
    name: "a job that dies again after a retry renews its letter",
    async run(t) {
      const letter = await die(t);
      const other = await die(t);
      await t.store.jobs.retry(letter.jobId);
      const { lease } = await t.claimOnly(letter.jobId);
      const failure = { code: "timeout", message: "too slow" } as const;
      await t.settle(lease, { kind: "dead", failure });
      const letters = await list(t);
      assertEquals(letterIds(letters), [letter.id, other.id], "one letter a job, the latest first");
      const [renewed] = letters;
      assertEquals(
        [renewed.failure, renewed.failedAt, renewed.replayedAt],
        [failure, t.clock.held, null],
      );
      assertEquals(await t.store.deadLetters.get(letter.id), renewed);
      await t.store.deadLetters.replay(letter.id, newId("job"));
    },
  },
  {
    name: "purge() removes exactly the letters that a filter selects",
    async run(t) {
      for (const [filter, selected] of FILTERS.slice(1)) {
        const letters = await fourLetters(t);
        const what = JSON.stringify(filter);
        assertEquals(await t.store.deadLetters.purge(filter, 100), selected.length, what);
        const kept = letters.filter((_, i) => !selected.includes(i));
        assertEquals(letterIds(await list(t)), letterIds(kept).reverse(), what);
        await t.store.deadLetters.purge({}, 100);
        for (const { lease } of await t.claim({ queues: ["b"] })) await t.settle(lease, DONE);
      }
    },
  },
  {
    name: "purge() removes at most as many as asked for",
    async run(t) {
      for (const _ of range(5)) await die(t);
      assertEquals(await t.store.deadLetters.purge({}, 0), 0);
      assertEquals(await t.store.deadLetters.purge({}, 3), 3);
      assertEquals(await t.store.deadLetters.count({}), 2);
      assertEquals(await t.store.deadLetters.purge({}, 3), 2);
      assertEquals(await t.store.deadLetters.purge({}, 3), 0);
      assertEquals((await t.store.jobs.counts()).failed, 5, "the jobs themselves stay");
    },
  },
];
