import { assert, assertEquals } from "@std/assert";
import type { JobRecord, NewJob } from "../../core/job.ts";
import { newId, withPrefix } from "../../core/id.ts";
import { DONE, FAILURE, ids, newJob, type StoreCase } from "./context.ts";

/** What text columns, escapes and JSON columns tend to change. */
const TRICKY = JSON.stringify({
  zeta: 1,
  alpha: [1e21, -0.5, 9007199254740991, true, null],
  10: "keys keep their order as text",
  text: "Grüße, 世界, 👩‍🚀 \u0000 \u2028 \ud800 ' \" \\ \\u0041 $1 %s {} --;",
});

/** Names of any script, with what SQL, patterns and key encodings treat specially. */
const NAMES = ["Ünïcode 世界 👩‍🚀", "it's; --", 'a"b', "100%_x", "back\\slash", "a:b/c|d", "{a,b}"];

/** Changes whatever can be changed in a value; frozen parts are as good as copies. */
function vandalise(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  for (const key of Object.keys(value)) {
    vandalise((value as Record<string, unknown>)[key]);
    Reflect.set(value, key, "changed");
  }
  Reflect.set(value, Array.isArray(value) ? value.length : "added", "added");
}

function scopedJob(): NewJob {
  return newJob({ tags: ["a", "b"], scope: { appId: "app", orgId: "org" } });
}

export const enqueueCases: readonly StoreCase[] = [
  {
    name: "enqueue() keeps every field exactly as it was given",
    async run(t) {
      const job = newJob({
        name: "resize",
        queue: "images",
        priority: -7,
        payload: TRICKY,
        maxRetries: 0,
        timeoutMs: 86_400_000,
        uniqueKey: "it's “one” key 🔑",
        tags: ["b", "a", "b", "with, comma", '{"quoted"}', "🏷️"],
        scope: { appId: "app", orgId: "örg" },
        runAt: t.clock.held + 3_600_000,
        delayMs: 5,
      });
      const [returned] = await t.store.jobs.enqueue([job]);
      const { delayMs: _, ...given } = job;
      const now = t.clock.held;
      const expected: JobRecord = {
        ...given,
        runAt: now + 3_600_000,
        state: "pending",
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
      };
      assertEquals(returned, expected);
      assertEquals(await t.job(job.id), expected);
    },
  },
  {
    name: "enqueue() takes the extremes of every number",
    async run(t) {
      for (const end of [1_000_000, -1_000_000]) {
        const job = await t.enqueue({
          priority: end,
          runAt: end > 0 ? Date.UTC(2300, 0, 1) : Date.UTC(1970, 0, 1),
          timeoutMs: end > 0 ? 9e12 : 0,
          maxRetries: end > 0 ? end : 0,
        });
        assertEquals(await t.job(job.id), job);
        assertEquals(job.priority, end);
        assertEquals(job.runAt, end > 0 ? Date.UTC(2300, 0, 1) : 0);
        assertEquals(job.timeoutMs, end > 0 ? 9e12 : 0);
      }
      const late = await t.enqueue({ delayMs: 9e12 });
      assertEquals(late.runAt, t.clock.held + 9e12);
    },
  },
  {
    name: "enqueue() keeps apart a scope that is whole, half or empty",
    async run(t) {
      for (const scope of [{}, { appId: "a" }, { orgId: "o" }, { appId: "a", orgId: "o" }]) {
        const { id } = await t.enqueue({ scope });
        assertEquals({ ...(await t.job(id)).scope }, scope);
      }
    },
  },
  {
    name: "names, queues and unique keys may be of any script",
    async run(t) {
      for (const text of NAMES) {
        const { id } = await t.enqueue({ name: text, queue: text, uniqueKey: text });
        const found = await t.store.jobs.list({ name: text, queue: text, limit: 10, offset: 0 });
        assertEquals(ids(found.items), [id], text);
        assertEquals((await t.enqueue({ name: text, uniqueKey: text })).id, id, text);
        assertEquals(ids(await t.claim({ queues: [text], names: [text] })), [id], text);
      }
    },
  },
  {
    name: "payloads and results may be as large as the store says",
    async run(t) {
      const bytes = Math.min(t.store.maxPayloadBytes, 2 ** 20);
      const payload = `"${"é".repeat((bytes - 2) / 2)}"`; // two bytes each
      const { job, lease } = await t.running({ payload });
      // Not assertEquals: the difference between two such texts takes minutes to show.
      assert(job.payload === payload, "the payload has changed");
      await t.settle(lease, { kind: "complete", result: payload });
      const kept = await t.job(job.id);
      assert(kept.payload === payload && kept.result === payload, "what is kept has changed");
    },
  },
  {
    name: "enqueue() returns the jobs in the order in which they were given",
    async run(t) {
      const jobs = [3, 1, 2].map((priority) => newJob({ priority, queue: `q${priority}` }));
      jobs.reverse(); // later ids first
      assertEquals(ids(await t.store.jobs.enqueue(jobs)), jobs.map((job) => job.id));
    },
  },
  {
    name: "enqueue() of nothing adds nothing",
    async run(t) {
      const before = await t.snapshot();
      assertEquals(await t.store.jobs.enqueue([]), []);
      assertEquals(await t.snapshot(), before);
    },
  },
  {
    name: "get() answers in the order of the ids, with null for those that do not exist",
    async run(t) {
      const [a, b] = await t.enqueueMany(2);
      const unknown = newId("job");
      const found = await t.store.jobs.get([b.id, unknown, a.id, b.id]);
      assertEquals(found, [b, null, a, b]);
      assertEquals(await t.store.jobs.get([]), []);
    },
  },
  {
    name: "a job shares nothing with what was passed to enqueue()",
    async run(t) {
      const job = scopedJob();
      await t.store.jobs.enqueue([job]);
      vandalise(job.tags);
      vandalise(job.scope);
      const { id, payload } = job;
      vandalise(job);
      const kept = await t.job(id);
      assertEquals(kept.payload, payload);
      assertEquals([...kept.tags], ["a", "b"]);
      assertEquals({ ...kept.scope }, { appId: "app", orgId: "org" });
    },
  },
  {
    name: "what the store hands out shares nothing with what it keeps",
    async run(t) {
      const { jobs, deadLetters, queues } = t.store;
      const everything = { limit: 100, offset: 0 };
      const [returned] = await jobs.enqueue([scopedJob()]);
      const { id } = returned;
      const dead = await t.inState("failed", { queue: "other", tags: ["t"] });
      const doomed = withPrefix("dlq", dead.id);

      const looks: [string, () => Promise<unknown>][] = [
        ["get()", () => jobs.get([id, dead.id])],
        ["list()", () => jobs.list(everything)],
        ["counts()", () => jobs.counts()],
        ["queues.list()", () => queues.list()],
        ["deadLetters.get()", () => deadLetters.get(doomed)],
        ["deadLetters.list()", () => deadLetters.list(everything)],
      ];
      const before = await t.snapshot();
      vandalise(returned);
      assertEquals(await t.snapshot(), before, "after a change to the result of enqueue()");
      for (const [name, look] of looks) {
        vandalise(await look());
        assertEquals(await t.snapshot(), before, `after a change to the result of ${name}`);
      }

      const moves: [string, () => Promise<unknown>][] = [
        ["claim()", () => t.claim()],
        ["cancel()", () => jobs.cancel(id)],
        ["rescue()", () => t.expireAndRescue()],
        ["retry()", () => jobs.retry(id)],
        ["replay()", () => deadLetters.replay(doomed, newId("job"))],
      ];
      for (const [name, move] of moves) {
        const result = await move();
        const after = await t.snapshot();
        vandalise(result);
        assertEquals(await t.snapshot(), after, `after a change to the result of ${name}`);
      }
    },
  },
  {
    name: "settle() shares nothing with the failure that it was given",
    async run(t) {
      const failure = { ...FAILURE };
      const { lease } = await t.running();
      await t.settle(lease, { kind: "dead", failure });
      const before = await t.snapshot();
      vandalise(failure);
      assertEquals(await t.snapshot(), before);
    },
  },
  {
    name: "the failure of a crash loop is a copy too",
    async run(t) {
      const crashLoop = async () => {
        const { id } = await t.enqueue();
        for (let crash = 0; crash < 2; crash++) {
          await t.claimOnly(id);
          await t.expireAndRescue();
        }
        await t.claimOnly(id);
        return (await t.expireAndRescue())[0].failure;
      };
      const first = await crashLoop();
      const message = first?.message;
      vandalise(first);
      assertEquals((await crashLoop())?.message, message);
    },
  },
  {
    name: "enqueue() adds nothing for an id that an unfinished job has",
    async run(t) {
      const job = newJob({ payload: '"first"' });
      const [first, again] = await t.store.jobs.enqueue([job, { ...job, payload: '"again"' }]);
      assertEquals(again, first);
      await t.claimOnly(job.id);
      const before = await t.snapshot();
      const other = newJob();
      const [late, added] = await t.store.jobs.enqueue([{ ...job, payload: '"late"' }, other]);
      assertEquals([late.id, late.state, late.payload], [job.id, "running", '"first"']);
      assertEquals(added.id, other.id);
      await t.store.jobs.remove(other.id);
      assertEquals((await t.store.jobs.enqueue([{ ...job, payload: '"alone"' }]))[0], late);
      assertEquals(await t.snapshot(), before);
    },
  },
  {
    name: "a job is there for whoever looks after enqueue() has returned",
    async run(t) {
      const peer = await t.peer();
      const job = await t.enqueue();
      assertEquals(await t.job(job.id, peer), job);
      const [{ lease }] = await t.claim({}, peer);
      assertEquals(await t.settle(lease, DONE), "settled", "a lease may be settled elsewhere");
    },
  },
];
