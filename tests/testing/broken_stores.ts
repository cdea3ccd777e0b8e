/** Stores with one fault each, of the kinds that real ones have had: the suite must find them all. */

import type { Failure } from "../../src/core/outcome.ts";
import type { DispatchError } from "../../src/core/errors.ts";
import type { JobStore } from "../../src/store/store.ts";
import { newJob } from "../../src/testing/suite/context.ts";
import {
  type Fault,
  overriding,
  withEnqueued,
  withJobs,
  withLeases,
  withLetters,
  withLiveTags,
  withOutcomes,
  withQueues,
} from "./store_wrappers.ts";

/** A fault, and the case that is there to find it. */
export interface BrokenStore {
  /** Completes the sentence "finds a store that …". */
  readonly fault: string;
  /** Part of the name of a case that must fail. */
  readonly foundBy: string;
  /** Puts the fault into a sound store. */
  readonly breakIt: Fault;
}

export const BROKEN_STORES: readonly BrokenStore[] = [
  {
    fault: "settles by id alone",
    foundBy: "was rescued and claimed by another worker",
    breakIt: withLeases({ token: (_, lease) => lease.token, accepts: () => true }),
  },
  {
    fault: "fences with the id of the worker",
    foundBy: "was rescued and claimed by the same worker",
    breakIt: withLeases({ token: ({ workerId }) => workerId! }),
  },
  {
    fault: "fences with the number of the attempt",
    foundBy: "was released and claimed again",
    breakIt: withLeases({ token: ({ attempt }) => attempt }),
  },
  {
    fault: "answers every heartbeat with held",
    foundBy: "was settled with complete",
    breakIt: withJobs(() => ({
      extend: (extensions) => Promise.resolve(extensions.map(() => "held" as const)),
    })),
  },
  {
    fault: "extends no lease",
    foundBy: "an extended lease is rescued only when its extension has run out",
    breakIt: withJobs((jobs) => ({ extend: (extensions) => jobs.extend(extensions, 0) })),
  },
  {
    fault: "returns claims unsorted",
    foundBy: "a claim of many jobs returns them in order",
    breakIt: withJobs((jobs) => ({
      claim: async (request) =>
        (await jobs.claim(request)).sort((a, b) => a.job.id < b.job.id ? -1 : 1),
    })),
  },
  {
    fault: "ignores priorities",
    foundBy: "a higher priority is claimed first",
    breakIt: withEnqueued((job) => ({ ...job, priority: 0 })),
  },
  {
    fault: "gives a job to two workers",
    foundBy: "a job that is running is not claimed again",
    breakIt: withJobs((jobs) => {
      let last: Awaited<ReturnType<JobStore["claim"]>> = [];
      return {
        async claim(request) {
          const claimed = await jobs.claim(request);
          if (claimed.length > 0) last = claimed;
          return claimed.length > 0 ? claimed : last.splice(0);
        },
      };
    }),
  },
  {
    fault: "gives the same jobs to all that claim at the same time",
    foundBy: "workers that claim at the same time get each job once",
    breakIt: withJobs((jobs) => {
      let inFlight: ReturnType<JobStore["claim"]> | null = null;
      return {
        claim: (request) => inFlight ??= jobs.claim(request).finally(() => inFlight = null),
      };
    }),
  },
  {
    fault: "claims names that the worker does not know",
    foundBy: "jobs of names that are not asked for stay untouched",
    breakIt: withJobs((jobs) => ({
      claim: (request) => jobs.claim({ ...request, names: [...request.names, "unknown"] }),
    })),
  },
  {
    fault: "claims suspects together with the others",
    foundBy: "suspects of a crash loop are claimed only where they are asked for",
    breakIt: withJobs((jobs) => ({
      async claim(request) {
        const suspects = await jobs.claim({ ...request, suspects: true });
        return [...suspects, ...await jobs.claim({ ...request, suspects: false })];
      },
    })),
  },
  {
    fault: "ignores delays",
    foundBy: "a job with a delay becomes ready that long after it was enqueued",
    breakIt: withEnqueued((job) => ({ ...job, delayMs: 0 })),
  },
  {
    fault: "ignores the moment a retry is due",
    foundBy: "a retried job becomes ready when its delay is over",
    breakIt: withOutcomes((outcome) =>
      outcome.kind === "retry" ? { ...outcome, delayMs: 0 } : outcome
    ),
  },
  {
    fault: "keeps what it was passed",
    foundBy: "a job shares nothing with what was passed to enqueue()",
    breakIt: withLiveTags((tags) => tags as string[]),
  },
  {
    fault: "hands out what it keeps",
    foundBy: "what the store hands out shares nothing with what it keeps",
    breakIt: withLiveTags((tags) => [...tags]),
  },
  {
    fault: "keeps payloads as parsed JSON",
    foundBy: "enqueue() keeps every field exactly as it was given",
    breakIt: withEnqueued((job) => {
      const parsed = JSON.parse(job.payload);
      if (typeof parsed !== "object") return job;
      return { ...job, payload: JSON.stringify(Object.fromEntries(Object.entries(parsed).sort())) };
    }),
  },
  {
    fault: "resurrects finished jobs in a rescue",
    foundBy: "rescue() leaves alone what does not run",
    breakIt: withJobs((jobs) => ({
      async rescue(limit) {
        const { items } = await jobs.list({ state: "cancelled", limit: 1, offset: 0 });
        return [
          ...await jobs.rescue(limit),
          ...await Promise.all(items.map((job) => jobs.retry(job.id))),
        ];
      },
    })),
  },
  {
    fault: "rescues leases that have not run out",
    foundBy: "rescue() leaves alone what has not run out",
    breakIt: withJobs((jobs) => ({
      claim: (request) => jobs.claim({ ...request, leaseMs: request.leaseMs / 2 }),
    })),
  },
  {
    fault: "spends the attempt of a released job",
    foundBy: "release gives the attempt back",
    breakIt: withOutcomes((outcome) =>
      outcome.kind === "release" ? { ...outcome, kind: "retry", failure: SHUTDOWN } : outcome
    ),
  },
  {
    fault: "loses dead letters",
    foundBy: "dead ends the job and writes its letter in the same call",
    breakIt: withJobs((jobs, store) => ({
      async settle(settlements) {
        const statuses = await jobs.settle(settlements);
        await store.deadLetters.purge({}, 1000);
        return statuses;
      },
    })),
  },
  {
    fault: "ignores unique keys",
    foundBy: "no second job is made while one that is pending holds the unique key",
    breakIt: withEnqueued((job) => ({ ...job, uniqueKey: null })),
  },
  {
    fault: "removes jobs that run",
    foundBy: "remove() of a job that is running is refused",
    breakIt: withJobs((jobs) => ({
      remove: (id) =>
        jobs.remove(id).catch((error: DispatchError) => {
          if (error.code !== "wrong_state") throw error;
        }),
    })),
  },
  {
    fault: "counts pages instead of keeping a place",
    foundBy: "jobs that arrive between two pages do not shift them",
    breakIt: withJobs((jobs) => ({
      async list({ cursor, ...query }) {
        const offset = query.offset + Number(cursor ?? 0);
        const page = await jobs.list({ ...query, offset });
        const nextCursor = page.nextCursor === null ? null : String(offset + query.limit);
        return { items: page.items, nextCursor };
      },
    })),
  },
  {
    fault: "has a page too many",
    foundBy: "nextCursor is null exactly on the last page",
    breakIt: withJobs((jobs) => ({
      async list(query) {
        const page = await jobs.list(query);
        const full = page.items.length === query.limit && page.items.length > 0;
        return { ...page, nextCursor: page.nextCursor ?? (full ? page.items.at(-1)!.id : null) };
      },
    })),
  },
  {
    fault: "prunes jobs that have not finished",
    foundBy: "prune() never removes a job that has not finished",
    breakIt: withJobs((jobs) => ({
      async prune(ages, limit) {
        const { items } = await jobs.list({ state: "retrying", limit: 1, offset: 0 });
        for (const { id } of items) await jobs.remove(id);
        return await jobs.prune(ages, limit) + items.length;
      },
    })),
  },
  {
    fault: "prunes without a limit",
    foundBy: "prune() removes at most as many as asked for",
    breakIt: withJobs((jobs) => ({ prune: (ages) => jobs.prune(ages, 1000) })),
  },
  {
    fault: "replays a letter twice",
    foundBy: "a letter can be replayed once",
    breakIt: withLetters((letters, store) => ({
      replay: (id, jobId) =>
        letters.replay(id, jobId).catch(async (error: DispatchError) => {
          if (error.code !== "wrong_state") throw error;
          return (await store.jobs.enqueue([newJob({ id: jobId })]))[0];
        }),
    })),
  },
  {
    fault: "purges letters that the filter does not select",
    foundBy: "purge() removes exactly the letters that a filter selects",
    breakIt: withLetters((letters) => ({
      purge: ({ olderThanMs }, limit) => letters.purge({ olderThanMs }, limit),
    })),
  },
  {
    fault: "does not pause",
    foundBy: "jobs of a paused queue are not claimed until it is resumed",
    breakIt: withQueues((queues) => ({
      configure: (name, { concurrency }) => queues.configure(name, { concurrency }),
    })),
  },
  {
    fault: "does not limit the concurrency of a queue",
    foundBy: "a queue runs at most as many jobs as its concurrency",
    breakIt: withQueues((queues) => ({
      configure: (name, { paused, concurrency }) =>
        queues.configure(name, { paused, concurrency: concurrency && 1000 }),
    })),
  },
  {
    fault: "goes on waking who has stopped listening",
    foundBy: "who has stopped listening is not woken any more",
    breakIt: (store) =>
      overriding(store, {
        async onWake(wake) {
          await store.onWake!(wake);
          return () => Promise.resolve();
        },
      }),
  },
];

const SHUTDOWN: Failure = { code: "shutdown", message: "The worker stopped" };
