/** Claims: one commit for any number of jobs, which checks the head of their queue and nothing else. */

import type { EpochMs } from "../../core/clock.ts";
import type { ClaimedJob } from "../../core/lease.ts";
import { createMutex, type Mutex } from "../../sql/mutex.ts";
import type { ClaimRequest } from "../store.ts";
import type { KvEntry } from "./client.ts";
import type { Database } from "./database.ts";
import { Draft } from "./draft.ts";
import type { Stored } from "./format.ts";
import type { Head, Heads } from "./heads.ts";
import { LANES } from "./keys.ts";
import type { Leases } from "./leases.ts";
import { type ClaimRecord, claims, jobs, runningJob, type StoredJob } from "./record.ts";
import { stay } from "./line.ts";
import { type InLine, type Place, Ready } from "./ready.ts";

/** So many jobs that have become due are made ready in one commit, and in one claim. */
const PROMOTE_BATCH = 300;
const PROMOTE_MAX = 1500;

interface Taken {
  readonly job: StoredJob;
  readonly claim: Stored<ClaimRecord>;
}

export class Claims {
  readonly #database: Database;
  readonly #heads: Heads;
  readonly #leases: Leases;
  readonly #ready: Ready;
  /** Claims of one process go one after another: at the same time they would only spoil each other. */
  readonly #exclusive: Mutex = createMutex();

  constructor(database: Database, heads: Heads, leases: Leases) {
    this.#database = database;
    this.#heads = heads;
    this.#leases = leases;
    this.#ready = new Ready(database);
  }

  claim(request: ClaimRequest): Promise<ClaimedJob[]> {
    return this.#exclusive(async () => {
      await this.#leases.begin();
      const claimed: ClaimedJob[] = [];
      for (const queue of request.queues) {
        if (claimed.length >= request.limit) break;
        const room = request.limit - claimed.length;
        claimed.push(...await this.#claimFrom(queue, room, request));
      }
      return claimed;
    });
  }

  async #claimFrom(queue: string, room: number, request: ClaimRequest): Promise<ClaimedJob[]> {
    const claimed: ClaimedJob[] = [];
    while (claimed.length < room) {
      const some = await this.#database.insist(async () => {
        const taken = await this.#take(queue, room - claimed.length, request);
        if (taken === null) this.#heads.doubt(queue);
        return taken;
      });
      claimed.push(...some);
      if (some.length === 0) break;
    }
    return claimed;
  }

  /** Claims what fits into one commit; `null` where somebody else was faster. */
  async #take(queue: string, room: number, request: ClaimRequest): Promise<ClaimedJob[] | null> {
    let head: Head | null = await this.#heads.get(queue);
    if (head.settings.paused) return [];
    const limit = Math.min(room, await this.#heads.free(head));
    if (limit <= 0) {
      // What is known of the limit may be old, and nothing is written that would find out.
      this.#heads.doubt(queue);
      const now = await this.#heads.read(queue);
      return now.versionstamp === head.versionstamp ? [] : null;
    }
    const now = this.#database.now();
    const lane = request.suspects ? LANES.suspects : LANES.others;
    const look = () => this.#ready.first(queue, lane, request.names, limit);
    let [due, ready] = await Promise.all([this.#due(queue, now), look()]);
    if (due.length > 0) {
      head = await this.#promote(head, due, now);
      if (head === null) return null;
      ready = await look();
    }
    if (ready.length === 0) return [];
    const { draft, taken } = this.#draft(head, ready, request, now);
    const token = await this.#commit(draft, head, now);
    if (token === null) return null;
    this.#leases.add(taken, token);
    return taken.map(({ job, claim }) => ({
      job: runningJob({ job, claim }).record,
      lease: { jobId: job.record.id, token },
    }));
  }

  /** As many of the jobs as fit into a commit. */
  #draft(head: Head, ready: readonly InLine[], request: ClaimRequest, now: EpochMs) {
    const { keys } = this.#database;
    const draft = new Draft();
    draft.set(keys.head(head.queue));
    draft.check({ key: keys.head(head.queue), versionstamp: head.versionstamp });
    const taken: Taken[] = [];
    const record: ClaimRecord = {
      token: null,
      leaseUntil: now + request.leaseMs,
      workerId: request.workerId,
      startedAt: now,
      heartbeatAt: now,
      updatedAt: now,
      progress: null,
      cancelRequested: false,
    };
    const { value, stored: claim } = claims.pack(draft, keys, "", record);
    const places = new Map<Place, number>();
    for (const { job, place } of ready) {
      const { id, queue, state } = job.record;
      const one = new Draft();
      const before = places.get(place) ?? 0;
      if (before === 0) {
        one.delete(place.key);
        if (place.jobs.length > 1) one.reserve(place.key, place.value);
      }
      if (state === "retrying") one.delete(keys.inState(state, id));
      one.set(keys.claim(id), value);
      one.count(queue, state, -1);
      one.count(queue, "running", 1);
      if (!draft.fits(one)) break;
      draft.add(one);
      places.set(place, before + 1);
      taken.push({ job, claim });
    }
    for (const [{ key, jobs }, count] of places) stay(draft, key, jobs.slice(count));
    return { draft, taken };
  }

  /** The first jobs that have become due. */
  async #due(queue: string, now: EpochMs): Promise<KvEntry[]> {
    const prefix = this.#database.keys.section("d", queue);
    return await this.#database.page({ prefix, end: [...prefix, now + 1] }, PROMOTE_BATCH);
  }

  /** Makes them ready, and those that follow; not all of a million in one claim. */
  async #promote(head: Head, due: readonly KvEntry[], now: EpochMs): Promise<Head | null> {
    const { keys } = this.#database;
    let current = head;
    let entries = due;
    for (let promoted = 0; entries.length > 0 && promoted < PROMOTE_MAX;) {
      const draft = new Draft();
      draft.set(keys.head(head.queue));
      draft.check({ key: keys.head(head.queue), versionstamp: current.versionstamp });
      let fitting = 0;
      for (const { key, value } of entries) {
        const one = new Draft();
        const job = await this.#copied(key[4] as string, value as Uint8Array);
        one.delete(key);
        if (job !== null) this.#stand(one, job, value as Uint8Array);
        if (!draft.fits(one)) break;
        draft.add(one);
        fitting++;
      }
      const versionstamp = await this.#commit(draft, current, now);
      if (versionstamp === null) return null;
      current = { ...current, versionstamp };
      promoted += fitting;
      if (fitting === entries.length && entries.length < PROMOTE_BATCH) break;
      entries = await this.#due(head.queue, now);
    }
    return current;
  }

  #stand(draft: Draft, { record }: StoredJob, copy: Uint8Array): void {
    const key = this.#database.keys.ready(record);
    if (copy.length > 0) draft.ready(key, copy);
    else draft.set(key, copy);
  }

  async #copied(id: string, copy: Uint8Array): Promise<StoredJob | null> {
    if (copy.length > 0) return jobs.unpack(copy);
    const { value } = await this.#database.get(this.#database.keys.unfinished(id));
    return value === null ? null : jobs.unpack(value);
  }

  async #commit(draft: Draft, head: Head, now: EpochMs): Promise<string | null> {
    const versionstamp = await this.#database.commit(draft, now);
    if (versionstamp !== null) this.#heads.note({ ...head, versionstamp });
    return versionstamp;
  }
}
