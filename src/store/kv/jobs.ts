import type { JobCounts, JobRecord, JobState, NewJob } from "../../core/job.ts";
import { noJobs } from "../../core/job.ts";
import type { ClaimedJob, LeaseStatus } from "../../core/lease.ts";
import { isSuspect } from "../../core/outcome.ts";
import type {
  ClaimRequest,
  JobQuery,
  JobStore,
  LeaseExtension,
  Page,
  RetentionAges,
  Settlement,
  SettleStatus,
} from "../store.ts";
import type { KvParts } from "./parts.ts";
import { LANES } from "./keys.ts";
import { isReady } from "./ready.ts";
import { jobs } from "./record.ts";
import { counted } from "./value.ts";

/** Delayed jobs of other names that are looked past before the next is told to be due. */
const MAX_PASSED = 1000;

/** The jobs of a KV store. */
export class KvJobs implements JobStore {
  readonly #parts: KvParts;

  constructor(parts: KvParts) {
    this.#parts = parts;
  }

  enqueue(jobs: readonly NewJob[]): Promise<JobRecord[]> {
    return this.#parts.enqueue.enqueue(jobs);
  }

  async claim(request: ClaimRequest): Promise<ClaimedJob[]> {
    this.#parts.wake.note(request.queues);
    if (request.limit <= 0 || request.names.length === 0) return [];
    return await this.#parts.claims.claim(request);
  }

  async nextDue(queues: readonly string[], names: readonly string[]): Promise<number | null> {
    const due = await Promise.all(queues.map((queue) => this.#dueIn(queue, names)));
    return due.reduce((a, b) => a === null || b !== null && b < a ? b : a, null);
  }

  extend(extensions: readonly LeaseExtension[], leaseMs: number): Promise<LeaseStatus[]> {
    return this.#parts.settle.extend(extensions, leaseMs);
  }

  async settle(settlements: readonly Settlement[]): Promise<SettleStatus[]> {
    const statuses = await this.#parts.settle.settle(settlements);
    if (settlements.some(({ isRun }) => isRun)) await this.#parts.aftermath.flush();
    return statuses;
  }

  rescue(limit: number): Promise<JobRecord[]> {
    return this.#parts.sweep.rescue(limit);
  }

  async cancel(id: string): Promise<JobRecord> {
    const record = await this.#parts.verbs.cancel(id);
    await this.#parts.aftermath.flush();
    return record;
  }

  async retry(id: string): Promise<JobRecord> {
    const record = await this.#parts.verbs.retry(id);
    await this.#parts.aftermath.flush();
    return record;
  }

  async remove(id: string): Promise<void> {
    await this.#parts.verbs.remove(id);
    await this.#parts.aftermath.flush();
  }

  get(ids: readonly string[]): Promise<(JobRecord | null)[]> {
    return this.#parts.reader.get(ids);
  }

  list(query: JobQuery): Promise<Page<JobRecord>> {
    return this.#parts.reader.list(query);
  }

  async counts(): Promise<JobCounts> {
    const { database } = this.#parts;
    const counts = noJobs();
    const counters = { prefix: database.keys.section("c") };
    for await (const { key, value } of database.list(counters, { batchSize: 500 })) {
      counts[key[3] as JobState] += counted(value);
    }
    return counts;
  }

  prune(ages: RetentionAges, limit: number): Promise<number> {
    return this.#parts.sweep.prune(ages, limit);
  }

  async #dueIn(queue: string, names: readonly string[]): Promise<number | null> {
    const { database, heads } = this.#parts;
    if (names.length === 0) return null;
    const [head, ready] = await Promise.all([
      heads.read(queue),
      isReady(database, queue, LANES.others, names),
    ]);
    if (head.settings.paused || await heads.free(head) <= 0) return null;
    if (ready) return 0;
    let passed = 0;
    const waiting = { prefix: database.keys.section("d", queue) };
    for await (const { key, value } of database.list(waiting, { batchSize: 20 })) {
      const bytes = value as Uint8Array;
      const job = bytes.length === 0 ? null : jobs.unpack(bytes).record;
      // What is large was not copied: it is due for all that is known here.
      const meant = job === null || names.includes(job.name) && !isSuspect(job);
      if (meant || ++passed > MAX_PASSED) {
        return Math.max(0, (key[3] as number) - database.now());
      }
    }
    return null;
  }
}
