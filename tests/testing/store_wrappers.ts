/** Ways to put a fault into a sound store. */

import type { JobRecord, NewJob } from "../../src/core/job.ts";
import type { Lease } from "../../src/core/lease.ts";
import type { Outcome } from "../../src/core/outcome.ts";
import type { DeadLetterStore, JobStore, QueueStore, Store } from "../../src/store/store.ts";

/** The same object with some of its members replaced. */
export function overriding<Target extends object>(
  target: Target,
  overrides: Partial<Target>,
): Target {
  return new Proxy(target, {
    get(_, key) {
      const value = Reflect.get(overrides, key) ?? Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Puts a fault into a sound store. */
export type Fault = (store: Store) => Store;

/** A store whose jobs answer differently. */
export function withJobs(change: (jobs: JobStore, store: Store) => Partial<JobStore>): Fault {
  return (store) => overriding(store, { jobs: overriding(store.jobs, change(store.jobs, store)) });
}

/** A store whose dead letters answer differently. */
export function withLetters(
  change: (letters: DeadLetterStore, store: Store) => Partial<DeadLetterStore>,
): Fault {
  return (store) => {
    const deadLetters = overriding(store.deadLetters, change(store.deadLetters, store));
    return overriding(store, { deadLetters });
  };
}

/** A store whose queues answer differently. */
export function withQueues(change: (queues: QueueStore) => Partial<QueueStore>): Fault {
  return (store) => overriding(store, { queues: overriding(store.queues, change(store.queues)) });
}

/** A store that enqueues something else than it was given. */
export function withEnqueued(change: (job: NewJob) => NewJob): Fault {
  return withJobs((jobs) => ({ enqueue: (added) => jobs.enqueue(added.map(change)) }));
}

/** A store that writes another outcome than it was given. */
export function withOutcomes(change: (outcome: Outcome) => Outcome): Fault {
  return withJobs((jobs) => ({
    settle: (settlements) =>
      jobs.settle(settlements.map(({ lease, outcome }) => ({ lease, outcome: change(outcome) }))),
  }));
}

type ClaimedJobs = Awaited<ReturnType<JobStore["claim"]>>;

/** A store whose leases carry a token of another kind, which is compared with that of the owner. */
export function withLeases({ token, accepts = (shown, owned) => shown === owned }: {
  token: (job: ClaimedJobs[number]["job"], lease: Lease) => Lease["token"];
  accepts?: (shown: Lease["token"], owned: Lease["token"]) => boolean;
}): Fault {
  return withJobs((jobs) => {
    const owners = new Map<string, { shown: Lease["token"]; lease: Lease }>();
    /** The sound lease behind the one that is presented. */
    const behind = (lease: Lease): Lease => {
      const owner = owners.get(lease.jobId);
      const owned = owner !== undefined && accepts(lease.token, owner.shown);
      return owned ? owner.lease : { ...lease, token: -1 };
    };
    return {
      claim: async (request) =>
        (await jobs.claim(request)).map(({ job, lease }) => {
          const shown = token(job, lease);
          owners.set(job.id, { shown, lease });
          return { job, lease: { jobId: job.id, token: shown } };
        }),
      settle: (settlements) =>
        jobs.settle(settlements.map(({ lease, outcome }) => ({ lease: behind(lease), outcome }))),
      extend: (extensions, leaseMs) =>
        jobs.extend(extensions.map((item) => ({ ...item, lease: behind(item.lease) })), leaseMs),
    };
  });
}

/** A store that answers with one array of tags for each job, for as long as the job is there. */
export function withLiveTags(keep: (tags: readonly string[]) => string[]): Fault {
  return withJobs((jobs) => {
    const kept = new Map<string, string[]>();
    const withKept = (job: JobRecord) => ({ ...job, tags: kept.get(job.id) ?? job.tags });
    return {
      enqueue(added) {
        for (const { id, tags } of added) kept.set(id, keep(tags));
        return jobs.enqueue(added);
      },
      get: async (ids) => (await jobs.get(ids)).map((job) => job && withKept(job)),
      async list(query) {
        const { items, nextCursor } = await jobs.list(query);
        return { items: items.map(withKept), nextCursor };
      },
    };
  });
}
