import { assertEquals } from "@std/assert";
import { JOB_STATES, type JobRecord, noJobs } from "../../core/job.ts";
import type { JobQuery } from "../../store/store.ts";
import {
  assertRefused,
  type CaseContext,
  DONE,
  ids,
  range,
  readPages,
  type StoreCase,
} from "./context.ts";

async function list(t: CaseContext, query: Partial<JobQuery> = {}): Promise<string[]> {
  return ids((await t.store.jobs.list({ limit: 1000, offset: 0, ...query })).items);
}

function newestFirst(jobs: readonly JobRecord[]): string[] {
  return ids(jobs).reverse();
}

/** Reads all jobs by cursor, with something that happens between the pages. */
async function walk(
  t: CaseContext,
  query: Partial<JobQuery>,
  between?: (page: number) => Promise<unknown>,
): Promise<string[]> {
  const page = (cursor?: string) =>
    t.store.jobs.list({ limit: 3, offset: 0, ...query, ...(cursor !== undefined && { cursor }) });
  return ids((await readPages(page, between)).flat());
}

export const listingCases: readonly StoreCase[] = [
  {
    name: "jobs are listed whole, the newest first",
    async run(t) {
      const jobs = await t.enqueueMany(5, { tags: ["a"], scope: { appId: "x" } });
      const { items, nextCursor } = await t.store.jobs.list({ limit: 10, offset: 0 });
      assertEquals(items, [...jobs].reverse());
      assertEquals(nextCursor, null);
    },
  },
  {
    name: "an empty store lists nothing",
    async run(t) {
      const nothing = { items: [], nextCursor: null };
      assertEquals(await t.store.jobs.list({ limit: 10, offset: 0 }), nothing);
      assertEquals(await t.store.deadLetters.list({ limit: 10, offset: 0 }), nothing);
    },
  },
  {
    name: "jobs can be listed by state, queue and name, and by all of them",
    async run(t) {
      const jobs: JobRecord[] = [];
      for (const queue of ["a", "b"]) {
        for (const name of ["mail", "sms"]) {
          // Pending last: a job that waits would be claimed in the place of the next.
          for (const state of [...JOB_STATES].reverse()) {
            jobs.push(await t.inState(state, { queue, name }));
          }
        }
      }
      const expected = (matches: (job: JobRecord) => boolean) => newestFirst(jobs.filter(matches));
      assertEquals(await list(t), newestFirst(jobs));
      assertEquals(await list(t, { queue: "a" }), expected((job) => job.queue === "a"));
      assertEquals(await list(t, { name: "sms" }), expected((job) => job.name === "sms"));
      for (const state of JOB_STATES) {
        assertEquals(await list(t, { state }), expected((job) => job.state === state), state);
        assertEquals(
          await list(t, { state, queue: "b", name: "mail" }),
          expected((job) => job.state === state && job.queue === "b" && job.name === "mail"),
          state,
        );
      }
      assertEquals(await list(t, { queue: "nowhere" }), []);
    },
  },
  {
    name: "limit and offset cut a part out of the list",
    async run(t) {
      const all = newestFirst(await t.enqueueMany(10));
      assertEquals(await list(t, { limit: 3 }), all.slice(0, 3));
      assertEquals(await list(t, { limit: 3, offset: 5 }), all.slice(5, 8));
      assertEquals(await list(t, { limit: 3, offset: 8 }), all.slice(8));
      assertEquals(await list(t, { limit: 3, offset: 10 }), []);
    },
  },
  {
    name: "the offset counts only what matches the filter",
    async run(t) {
      const mails: JobRecord[] = [];
      for (const _ of range(5)) {
        mails.push(await t.enqueue());
        await t.enqueue({ name: "sms" });
      }
      const part = await list(t, { name: "mail", limit: 2, offset: 2 });
      assertEquals(part, newestFirst(mails).slice(2, 4));
    },
  },
  {
    name: "nextCursor is null exactly on the last page",
    async run(t) {
      await t.enqueueMany(6);
      for (const limit of [1, 2, 3, 4, 5, 6, 7]) {
        const pages = await readPages((cursor) => t.store.jobs.list({ limit, offset: 0, cursor }));
        assertEquals(pages.length, Math.ceil(6 / limit), `pages of ${limit}`);
        assertEquals(pages.flat().length, 6);
      }
      assertEquals((await t.store.jobs.list({ limit: 3, offset: 3 })).nextCursor, null);
    },
  },
  {
    name: "pages by cursor visit every job once, in order",
    async run(t) {
      const jobs = await t.enqueueMany(20);
      assertEquals(await walk(t, {}), newestFirst(jobs));
    },
  },
  {
    name: "pages by cursor keep to the filter",
    async run(t) {
      const sms: JobRecord[] = [];
      for (const _ of range(8)) {
        await t.enqueueMany(2);
        sms.push(await t.enqueue({ name: "sms" }));
      }
      assertEquals(await walk(t, { name: "sms" }), newestFirst(sms));
    },
  },
  {
    name: "jobs that arrive between two pages do not shift them",
    async run(t) {
      const jobs = await t.enqueueMany(10);
      const seen = await walk(t, {}, () => t.enqueueMany(2));
      assertEquals(seen, newestFirst(jobs));
    },
  },
  {
    name: "jobs that are removed between two pages do not shift them",
    async run(t) {
      const all = newestFirst(await t.enqueueMany(12));
      // The first of each page goes, and the last, which is where the cursor points.
      const seen = await walk(t, {}, async (page) => {
        for (const at of [0, 2]) await t.store.jobs.remove(all[(page - 1) * 3 + at]);
      });
      assertEquals(seen, all);
    },
  },
  {
    name: "a job that leaves the filter between two pages does not shift them",
    async run(t) {
      const all = newestFirst(await t.enqueueMany(9));
      const seen = await walk(t, { state: "pending" }, async (page) => {
        await t.store.jobs.cancel(all[page * 3 - 1]);
      });
      assertEquals(seen, all);
    },
  },
  {
    name: "what is no cursor is refused",
    async run(t) {
      await t.enqueueMany(2);
      for (const cursor of ["", "nonsense", "0", "'; --"]) {
        const query = { limit: 1, offset: 0, cursor };
        await assertRefused("invalid_option", () => t.store.jobs.list(query));
        await assertRefused("invalid_option", () => t.store.deadLetters.list(query));
      }
    },
  },
  {
    name: "counts() has every state",
    async run(t) {
      assertEquals(await t.store.jobs.counts(), noJobs());
      for (const [i, state] of [...JOB_STATES].reverse().entries()) {
        for (const _ of range(i + 1)) await t.inState(state, { queue: `${state}-${_}` });
      }
      assertEquals(await t.store.jobs.counts(), {
        cancelled: 1,
        failed: 2,
        retrying: 3,
        completed: 4,
        running: 5,
        pending: 6,
      });
    },
  },
  {
    name: "counts() follows a job through its life",
    async run(t) {
      const { id } = await t.enqueue();
      const only = (state: string) => ({ ...noJobs(), [state]: 1 });
      assertEquals(await t.store.jobs.counts(), only("pending"));
      const { lease } = await t.claimOnly(id);
      assertEquals(await t.store.jobs.counts(), only("running"));
      await t.settle(lease, DONE);
      assertEquals(await t.store.jobs.counts(), only("completed"));
      await t.store.jobs.remove(id);
      assertEquals(await t.store.jobs.counts(), noJobs());
    },
  },
];
