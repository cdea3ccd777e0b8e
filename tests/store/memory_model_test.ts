/**
 * Random interleavings of everything that can happen to jobs, played to the memory store and to a
 * model of it. After each step both must hold the same.
 */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import { DispatchError, type ErrorCode } from "../../src/core/errors.ts";
import { newId } from "../../src/core/id.ts";
import type { JobRecord } from "../../src/core/job.ts";
import type { ClaimedJob, Lease } from "../../src/core/lease.ts";
import type { Outcome } from "../../src/core/outcome.ts";
import type { Store } from "../../src/store/store.ts";
import { memoryStore } from "../../src/store/memory/store.ts";
import { type HeldClock, heldClock } from "../../src/testing/mod.ts";
import { newJob, OUTCOMES } from "../../src/testing/suite/context.ts";
import { isFinished, Model } from "./model.ts";

const QUEUES = ["a", "b"];
const NAMES = ["mail", "sms"];
const LEASE_MS = 1000;
const ANYTHING = { workerId: "any", queues: QUEUES, names: NAMES, leaseMs: LEASE_MS };

/** What can happen. Jobs, leases and letters are meant by a number, counted round. */
type Step =
  | { do: "enqueue"; jobs: JobShape[]; newestIdFirst: boolean }
  | {
    do: "claim";
    worker: number;
    queues: string[];
    names: string[];
    limit: number;
    suspects: boolean;
  }
  | { do: "settle"; items: { lease: number; outcome: Outcome["kind"] }[] }
  | { do: "extend"; lease: number; leaseMs: number; progress: boolean }
  | { do: "advance"; ms: number }
  | { do: "rescue"; limit: number }
  | { do: "crash"; limit: number; suspects: boolean }
  | { do: "cancel" | "retry" | "remove"; job: number }
  | { do: "replay"; letter: number }
  | { do: "configure"; queue: string; paused: boolean; concurrency: number | null }
  | { do: "prune"; age: number };

interface JobShape {
  queue: string;
  name: string;
  priority: number;
  delayMs: number;
  uniqueKey: string | null;
}

const number = fc.nat({ max: 99 });
const jobShape: fc.Arbitrary<JobShape> = fc.record({
  queue: fc.constantFrom(...QUEUES),
  name: fc.constantFrom(...NAMES),
  priority: fc.constantFrom(0, 0, 1, -1),
  delayMs: fc.constantFrom(0, 0, 0, 500, 2000),
  uniqueKey: fc.constantFrom(null, null, "k1", "k2"),
});

const steps: Record<Step["do"], [weight: number, fields: Record<string, fc.Arbitrary<unknown>>]> = {
  enqueue: [6, {
    jobs: fc.array(jobShape, { minLength: 1, maxLength: 3 }),
    newestIdFirst: fc.boolean(),
  }],
  claim: [8, {
    worker: fc.nat({ max: 2 }),
    queues: fc.shuffledSubarray(QUEUES, { minLength: 1 }),
    names: fc.shuffledSubarray(NAMES, { minLength: 1 }),
    limit: fc.constantFrom(1, 2, 100),
    suspects: fc.constantFrom(false, false, false, true),
  }],
  settle: [8, {
    items: fc.array(
      fc.record({ lease: number, outcome: fc.constantFrom(...OUTCOMES.map(({ kind }) => kind)) }),
      {
        minLength: 1,
        maxLength: 3,
      },
    ),
  }],
  extend: [2, { lease: number, leaseMs: fc.constantFrom(500, 3000), progress: fc.boolean() }],
  advance: [6, { ms: fc.constantFrom(0, 1, 500, LEASE_MS, 2000) }],
  rescue: [5, { limit: fc.constantFrom(1, 100, 100) }],
  crash: [4, { limit: fc.constantFrom(1, 100), suspects: fc.boolean() }],
  cancel: [3, { job: number }],
  retry: [3, { job: number }],
  remove: [2, { job: number }],
  replay: [2, { letter: number }],
  configure: [2, {
    queue: fc.constantFrom(...QUEUES),
    paused: fc.boolean(),
    concurrency: fc.constantFrom(null, 1, 2),
  }],
  prune: [1, { age: fc.constantFrom(0, 1000) }],
};

const step = fc.oneof(
  ...Object.entries(steps).map(([name, [weight, fields]]) => ({
    weight,
    arbitrary: fc.record({ do: fc.constant(name), ...fields }),
  })),
) as fc.Arbitrary<Step>;

/** The store, its model, and everything that was ever handed out. */
class World {
  readonly clock: HeldClock = heldClock();
  readonly store: Store = memoryStore({ clock: this.clock });
  readonly model: Model = new Model(this.clock.held);
  /** Ids of all jobs ever, also of those that were removed. */
  readonly ids: string[] = [];
  /** All leases ever; most are stale. */
  readonly leases: Lease[] = [];

  async take(step: Step): Promise<void> {
    const { store: { jobs, deadLetters, queues }, model } = this;
    switch (step.do) {
      case "enqueue": {
        const added = step.jobs.map((shape) => newJob(shape));
        if (step.newestIdFirst) added.reverse();
        const made = await jobs.enqueue(added);
        assertEquals(made, model.enqueue(added));
        for (const { id } of added) this.ids.push(id);
        return;
      }
      case "claim": {
        const workerId = `worker-${step.worker}`;
        await this.claim({ ...step, workerId, leaseMs: LEASE_MS });
        return;
      }
      case "settle": {
        const items = step.items.flatMap(({ lease, outcome }) => {
          const picked = pick(this.leases, lease);
          return picked === undefined ? [] : [{ lease: picked, outcome: outcomeOf(outcome) }];
        });
        assertEquals(await jobs.settle(items), items.map((item) => model.settle(item)));
        return;
      }
      case "extend": {
        const lease = pick(this.leases, step.lease);
        if (lease === undefined) return;
        const item = step.progress ? { lease, progress: "0.5" } : { lease };
        const [status] = await jobs.extend([item], step.leaseMs);
        assertEquals(status, model.extend(item, step.leaseMs));
        return;
      }
      case "advance":
        await this.clock.advance(step.ms);
        model.now = this.clock.held;
        return;
      case "rescue": {
        const expired = model.expired();
        const rescued = await jobs.rescue(step.limit);
        assertEquals(rescued.length, Math.min(step.limit, expired.length));
        // Which ones, where there are more than asked for, is up to the store.
        for (const job of rescued) {
          assert(expired.includes(job.id), `${job.id} had not run out`);
          assertEquals(job, model.rescue(job.id));
        }
        return;
      }
      case "crash": { // by itself three in a row, which kill a job, would be rare
        const { limit, suspects } = step;
        await this.claim({ ...ANYTHING, limit, suspects });
        await this.take({ do: "advance", ms: LEASE_MS });
        return await this.take({ do: "rescue", limit: 100 });
      }
      case "cancel":
      case "retry":
      case "remove": {
        const id = pick(this.ids, step.job) ?? newId("job");
        assertEquals(await answer(jobs[step.do](id)), model[step.do](id));
        return;
      }
      case "replay": {
        const letter = pick([...model.letters.keys()], step.letter) ?? newId("dlq");
        const id = newId("job");
        assertEquals(await answer(deadLetters.replay(letter, id)), model.replay(letter, id));
        this.ids.push(id);
        return;
      }
      case "configure": {
        const { queue, paused, concurrency } = step;
        await queues.configure(queue, { paused, concurrency });
        if (paused) model.paused.add(queue);
        else model.paused.delete(queue);
        model.concurrency.set(queue, concurrency ?? Infinity);
        return;
      }
      case "prune": {
        const ages = { completed: step.age, failed: step.age, cancelled: null };
        assertEquals(await jobs.prune(ages, 1000), model.prune(ages));
      }
    }
  }

  async claim(request: Parameters<Store["jobs"]["claim"]>[0]): Promise<ClaimedJob[]> {
    const claimed = await this.store.jobs.claim(request);
    assertEquals(claimed.map(({ job }) => job), this.model.claim(request));
    for (const { job, lease } of claimed) {
      assert(
        !this.leases.some(({ jobId, token }) => jobId === job.id && token === lease.token),
        `token ${lease.token} of ${job.id} is not new`,
      );
      this.leases.push(lease);
      this.model.held.set(job.id, { lease, until: this.model.now + request.leaseMs });
    }
    return claimed;
  }

  /** Store and model hold the same, and every job that ever was is accounted for. */
  async check(): Promise<void> {
    const { store, model, ids } = this;
    const byId = (a: { id: string }, b: { id: string }) => a.id < b.id ? -1 : 1;
    const everything = { limit: 100_000, offset: 0 };
    const { items } = await store.jobs.list(everything);
    assertEquals(items.reverse(), [...model.jobs].sort(byId));
    assertEquals(await store.jobs.get(ids), ids.map((id) => model.find(id) ?? null));
    assertEquals(await store.jobs.counts(), model.counts());
    for (const { name, counts } of await store.queues.list()) {
      assertEquals(counts, model.counts(name));
    }
    assertEquals(await store.jobs.nextDue(QUEUES, NAMES), model.nextDue(QUEUES));
    const letters = (await store.deadLetters.list(everything)).items;
    assertEquals(letters.sort(byId), [...model.letters.values()].sort(byId));
    for (const { name, uniqueKey } of model.jobs) {
      assert(model.holders(name, uniqueKey).length <= 1, `${uniqueKey} is held twice`);
    }
  }

  /** No stale lease may settle, and every job that has not finished can still be brought to its end. */
  async drain(): Promise<void> {
    const { model, store } = this;
    const stale = this.leases.filter((lease) => model.held.get(lease.jobId)?.lease !== lease);
    const statuses = await store.jobs.settle(
      stale.map((lease) => ({ lease, outcome: outcomeOf("complete") })),
    );
    assertEquals(statuses, stale.map(() => "lost"));
    await this.check();

    for (const queue of QUEUES) {
      await this.take({ do: "configure", queue, paused: false, concurrency: null });
    }
    await this.take({ do: "advance", ms: 10_000 });
    await this.take({ do: "rescue", limit: 1000 });
    for (const suspects of [false, true]) {
      const claimed = await this.claim({ ...ANYTHING, limit: 1000, suspects });
      const items = claimed.map(({ lease }) => ({ lease, outcome: outcomeOf("complete") }));
      assertEquals(await store.jobs.settle(items), items.map((item) => model.settle(item)));
    }
    await this.check();
    assertEquals(model.jobs.filter((job) => !isFinished(job)), []);
  }
}

function outcomeOf(kind: Outcome["kind"]): Outcome {
  return OUTCOMES.find((outcome) => outcome.kind === kind)!;
}

/** The item at a place that is counted round, or undefined where there is none. */
function pick<Item>(items: readonly Item[], at: number): Item | undefined {
  return items[at % items.length];
}

/** What a verb answers, with its error as the code. */
function answer(call: Promise<JobRecord | void>): Promise<JobRecord | void | ErrorCode> {
  return call.catch((error) => {
    if (error instanceof DispatchError) return error.code;
    throw error;
  });
}

describe("memoryStore()", () => {
  it("does what a simple model does, whatever happens in whatever order", async () => {
    const property = fc.asyncProperty(
      fc.array(step, { minLength: 1, maxLength: 120, size: "max" }),
      async (taken) => {
        const world = new World();
        for (const step of taken) {
          await world.take(step);
          await world.check();
        }
        await world.drain();
      },
    );
    await fc.assert(property, { numRuns: 1500 });
  });
});
