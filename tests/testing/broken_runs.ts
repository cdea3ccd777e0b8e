/** Stores that keep runs with one fault each, of the kinds that real systems have had. */

import { newId } from "../../src/core/id.ts";
import type { EventStore, RunStore, Store } from "../../src/store/store.ts";
import type { BrokenStore } from "./broken_stores.ts";
import { type Fault, overriding, withJobs, withOutcomes } from "./store_wrappers.ts";

function withRuns(change: (runs: RunStore, store: Store) => Partial<RunStore>): Fault {
  return (store) =>
    overriding(store, { runs: overriding(store.runs!, change(store.runs!, store)) });
}

function withEvents(change: (events: EventStore) => Partial<EventStore>): Fault {
  return (store) => overriding(store, { events: overriding(store.events!, change(store.events!)) });
}

export const BROKEN_RUNS: readonly BrokenStore[] = [
  {
    fault: "answers that it has saved under a lease that is lost",
    foundBy: "no step is written under a lease whose run was rescued",
    breakIt: withRuns((runs) => ({
      save: async (writes) =>
        (await runs.save(writes)).map((status) => status === "lost" ? "saved" : status),
    })),
  },
  {
    fault: "says of a second write that it stands",
    foundBy: "the first write that ends a step stands",
    breakIt: withRuns((runs) => ({
      save: async (writes) =>
        (await runs.save(writes)).map((status) => status === "kept" ? "saved" : status),
    })),
  },
  {
    fault: "reads checkpoints without pages",
    foundBy: "checkpoints are read in pages",
    breakIt: withRuns((runs) => ({
      checkpoints: (queries) =>
        runs.checkpoints(queries.map((query) => ({ ...query, after: null, limit: 25 }))),
    })),
  },
  {
    fault: "forgets that a run is to undo its steps",
    foundBy: "a claimed run goes on with its first checkpoints, and knows what it is to undo",
    breakIt: withRuns((runs) => ({
      resume: async (jobIds, limit) =>
        (await runs.resume(jobIds, limit)).map((rest) => ({ ...rest, compensating: false })),
    })),
  },
  {
    fault: "parks without a look at what has come meanwhile",
    foundBy: "an event for the run that comes between the wait and the park is delivered",
    breakIt: (store) => {
      const parking = new Set<string>();
      return overriding(store, {
        jobs: overriding(store.jobs, {
          async settle(settlements) {
            for (const { lease, outcome } of settlements) {
              if (outcome.kind === "park") parking.add(lease.jobId);
            }
            return await store.jobs.settle(settlements);
          },
          claim: async (request) =>
            (await store.jobs.claim(request)).filter(({ job }) => !parking.has(job.id)),
        }),
      });
    },
  },
  {
    fault: "forgets events that nobody waits for",
    foundBy: "an event for all that comes before the run waits is delivered",
    breakIt: withEvents((events) => ({
      async publish(published) {
        const records = await events.publish(published);
        await events.prune(-1, 1000);
        return records;
      },
    })),
  },
  {
    fault: "takes an event again that it has taken",
    foundBy: "an idempotency key has an event taken once",
    breakIt: withEvents((events) => ({
      publish: (published) =>
        events.publish(published.map((event) => ({ ...event, idempotencyKey: null }))),
    })),
  },
  {
    fault: "ignores keys of events",
    foundBy: "an event with a key is for those alone that wait for the key",
    breakIt: (store) =>
      overriding(store, {
        runs: overriding(store.runs!, {
          wait: (waits) => store.runs!.wait(waits.map((wait) => ({ ...wait, key: null }))),
        }),
      }),
  },
  {
    fault: "begins a sleep anew each time",
    foundBy: "a wait ends without an event at the moment that its first call has set",
    breakIt: withRuns((runs) => ({
      wait: async (waits) =>
        (await runs.wait(waits)).map((step) =>
          step === null ? null : { ...step, state: "open" as const, leftMs: 60_000 }
        ),
    })),
  },
  {
    fault: "does not tell parents of children that are cancelled",
    foundBy: "a parked parent is told and woken when its child is cancelled while it waits",
    breakIt: withJobs((jobs) => ({
      async cancel(id) {
        const [job] = await jobs.get([id]);
        return job === null ? await jobs.cancel(id) : { ...job, state: "cancelled" as const };
      },
    })),
  },
  {
    fault: "starts a child for each try to remember it",
    foundBy: "a child is started with the step that remembers it, once",
    breakIt: withRuns((runs, store) => ({
      async save(writes) {
        const statuses = await runs.save(writes);
        for (const [i, { child }] of writes.entries()) {
          if (statuses[i] === "kept" && child !== undefined) {
            await store.jobs.enqueue([{ ...child, id: newId("job") }]);
          }
        }
        return statuses.map((status) => status === "kept" ? "saved" : status);
      },
    })),
  },
  {
    fault: "fails a run at once that is to undo its steps",
    foundBy: "a run that is to undo its steps is ready at once",
    breakIt: withOutcomes((outcome) =>
      outcome.kind === "compensate" ? { kind: "dead", failure: outcome.cause } : outcome
    ),
  },
  {
    fault: "forgets nothing for a retry",
    foundBy: "a run that is retried forgets the failure that ended its attempt",
    breakIt: withOutcomes((outcome) =>
      outcome.kind === "retry" ? { ...outcome, rewind: undefined } : outcome
    ),
  },
];
