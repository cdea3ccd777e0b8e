import { assertEquals, assertExists, assertRejects } from "@std/assert";
import { DispatchError, type ErrorCode } from "../../core/errors.ts";
import { newId } from "../../core/id.ts";
import type { JobRecord, JobState, NewJob } from "../../core/job.ts";
import type { ClaimedJob, Lease } from "../../core/lease.ts";
import type { Failure, JobOutcome, Outcome } from "../../core/outcome.ts";
import { isRunName } from "../../core/run.ts";
import type { ClaimRequest, Page, Settlement, SettleStatus, Store } from "../../store/store.ts";
import type { HeldClock } from "../held_clock.ts";

/** One rule that every store keeps. */
export interface StoreCase {
  /** A sentence; tests are called after it, and skips name it. */
  readonly name: string;
  /** What the store must have for it; default is what every store has. */
  readonly part?: "workflows";
  /** Passes, or throws what is wrong. */
  run(t: CaseContext): Promise<void>;
}

/** How long leases last, where a case does not say. */
export const LEASE_MS = 30_000;

/** What jobs fail of. */
export const FAILURE: Failure = {
  code: "handler_failed",
  message: "The mail server said “no” 💥",
  stack: "Error: no\n    at handler (mail.ts:7:9)",
};

/** One outcome of each kind. */
export const OUTCOMES: readonly JobOutcome[] = [
  { kind: "complete", result: '{"sent":true}' },
  { kind: "retry", failure: FAILURE, delayMs: 1000 },
  { kind: "release", delayMs: 1000 },
  { kind: "dead", failure: FAILURE },
  { kind: "cancel", reason: "no longer wanted" },
];

/** The outcome that completes a job without a result. */
export const DONE: Outcome = { kind: "complete", result: "null" };

/** A job to enqueue: a plain one, apart from what is named. */
export function newJob(fields: Partial<NewJob> = {}): NewJob {
  return {
    id: newId("job"),
    name: "mail",
    queue: "default",
    priority: 0,
    payload: '{"to":"ada@example.com"}',
    maxRetries: 3,
    timeoutMs: 0,
    delayMs: 0,
    runAt: null,
    uniqueKey: null,
    tags: [],
    scope: {},
    ...fields,
  };
}

/** Numbers from 0 up to `count`. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** The ids of jobs, or of claimed jobs. */
export function ids(items: readonly (JobRecord | ClaimedJob)[]): string[] {
  return items.map((item) => "job" in item ? item.job.id : item.id);
}

/** Asserts that the call is refused with a `DispatchError` of that code. */
export async function assertRefused(code: ErrorCode, call: () => Promise<unknown>): Promise<void> {
  const error = await assertRejects(call, DispatchError);
  assertEquals(error.code, code);
}

/** Reads a list page by page, by cursor, to its end. `between` runs after each page but the last. */
export async function readPages<Item>(
  page: (cursor: string | undefined) => Promise<Page<Item>>,
  between: (pageNumber: number) => Promise<unknown> = () => Promise.resolve(),
): Promise<Item[][]> {
  const pages: Item[][] = [];
  let cursor: string | undefined;
  while (pages.length < 1000) {
    const { items, nextCursor } = await page(cursor);
    pages.push(items);
    if (nextCursor === null) return pages;
    await between(pages.length);
    cursor = nextCursor;
  }
  throw new Error("The pages never end");
}

/** A fresh store with its clock, and the moves that cases are made of. */
export class CaseContext {
  /** Holds the store's time. */
  readonly clock: HeldClock;
  /** The store under test, empty. */
  readonly store: Store;
  /** Opens the same data a second time, as another process would. */
  readonly peer: () => Promise<Store>;

  constructor(clock: HeldClock, store: Store, peer: () => Promise<Store>) {
    this.clock = clock;
    this.store = store;
    this.peer = peer;
  }

  /** Enqueues one job. */
  async enqueue(fields: Partial<NewJob> = {}): Promise<JobRecord> {
    const [job] = await this.store.jobs.enqueue([newJob(fields)]);
    return job;
  }

  /** Enqueues several that differ in nothing but their id. */
  enqueueMany(count: number, fields: Partial<NewJob> = {}): Promise<JobRecord[]> {
    return this.store.jobs.enqueue(range(count).map(() => newJob(fields)));
  }

  /** Claims what is ready: up to 1,000 plain jobs, apart from what is named. */
  claim(request: Partial<ClaimRequest> = {}, store = this.store): Promise<ClaimedJob[]> {
    return store.jobs.claim({
      workerId: "worker-1",
      queues: ["default"],
      names: ["mail"],
      limit: 1000,
      leaseMs: LEASE_MS,
      suspects: false,
      ...request,
    });
  }

  /** Claims the one job that is ready, whichever of the two lines it stands in. */
  async claimOnly(id: string, request: Partial<ClaimRequest> = {}): Promise<ClaimedJob> {
    const { queue, name } = await this.job(id);
    const asked = { queues: [queue], names: [name], ...request };
    const claimed = await this.claim(asked);
    if (claimed.length === 0) claimed.push(...await this.claim({ ...asked, suspects: true }));
    assertEquals(ids(claimed), [id], "jobs that could be claimed");
    return claimed[0];
  }

  /** A job that a worker has just claimed; no other may be ready in its queue and under its name. */
  async running(fields: Partial<NewJob> = {}): Promise<ClaimedJob> {
    return await this.claimOnly((await this.enqueue(fields)).id);
  }

  /** Settles one lease. */
  async settle(lease: Lease, outcome: Outcome): Promise<SettleStatus> {
    const [job] = await this.store.jobs.get([lease.jobId]);
    const isRun = job !== null && isRunName(job.name);
    const [status] = await this.store.jobs.settle([{ lease, outcome, isRun } satisfies Settlement]);
    return status;
  }

  /** Extends one lease. */
  async extend(lease: Lease, leaseMs: number = LEASE_MS): Promise<"held" | "cancelling" | "lost"> {
    const [status] = await this.store.jobs.extend([{ lease }], leaseMs);
    return status;
  }

  /** Lets every lease that is held now run out, and takes it back. */
  async expireAndRescue(): Promise<JobRecord[]> {
    await this.clock.advance(LEASE_MS + 1);
    return await this.store.jobs.rescue(1000);
  }

  /** A job in the given state. */
  async inState(state: JobState, fields: Partial<NewJob> = {}): Promise<JobRecord> {
    if (state === "pending") return await this.enqueue(fields);
    if (state === "cancelled") {
      return await this.store.jobs.cancel((await this.enqueue(fields)).id);
    }
    const { job, lease } = await this.running(fields);
    if (state === "completed") await this.settle(lease, DONE);
    if (state === "retrying") {
      await this.settle(lease, { kind: "retry", failure: FAILURE, delayMs: 60_000 });
    }
    if (state === "failed") await this.settle(lease, { kind: "dead", failure: FAILURE });
    return await this.job(job.id);
  }

  /** Reads a job that must exist. */
  async job(id: string, store = this.store): Promise<JobRecord> {
    const [job] = await store.jobs.get([id]);
    assertExists(job, `job ${id} is gone`);
    return job;
  }

  /** Everything that the store shows, for "nothing has changed". */
  async snapshot(): Promise<unknown> {
    const { jobs, deadLetters, queues } = this.store;
    const all = { limit: 1000, offset: 0 };
    // Cloned: from a store that hands out live records, they would change along.
    return structuredClone({
      jobs: (await jobs.list(all)).items,
      letters: (await deadLetters.list(all)).items,
      counts: await jobs.counts(),
      queues: await queues.list(),
    });
  }
}
