/** What is taken back or forgotten as time goes by: leases that ran out, jobs past their retention. */

import type { EpochMs } from "../../core/clock.ts";
import type { JobRecord } from "../../core/job.ts";
import type { RetentionAges } from "../store.ts";
import type { KvEntry } from "./client.ts";
import type { Database } from "./database.ts";
import { Draft } from "./draft.ts";
import type { Intents } from "./intents.ts";
import type { Leases } from "./leases.ts";
import type { Moves } from "./moves.ts";
import { claims, jobs, type StoredJob } from "./record.ts";
import type { Settle } from "./settle.ts";
import { decode, encode } from "./value.ts";

const FINAL = ["completed", "failed", "cancelled"] as const;

export class Sweep {
  readonly #database: Database;
  readonly #leases: Leases;
  readonly #moves: Moves;
  readonly #settle: Settle;
  readonly #intents: Intents;

  constructor(parts: {
    database: Database;
    leases: Leases;
    moves: Moves;
    settle: Settle;
    intents: Intents;
  }) {
    this.#database = parts.database;
    this.#leases = parts.leases;
    this.#moves = parts.moves;
    this.#settle = parts.settle;
    this.#intents = parts.intents;
  }

  /** Takes back leases that ran out, and goes on with calls that a process left half unpacked. */
  async rescue(limit: number): Promise<JobRecord[]> {
    await this.#intents.unpackAll();
    const expired: string[] = [];
    if (limit > 0) {
      const now = this.#database.now();
      const all = { prefix: this.#database.keys.section("a") };
      for await (const { key, value } of this.#database.list(all, { batchSize: 500 })) {
        if (claims.unpack(value).record.leaseUntil <= now) expired.push(key[2] as string);
        if (expired.length === limit) break;
      }
    }
    const rescued: JobRecord[] = [];
    const portion = expired.length === 0 ? 1 : await this.#database.maxChecks();
    for (let at = 0; at < expired.length; at += portion) {
      const some = expired.slice(at, at + portion);
      for (let left: readonly string[] = some; left.length > 0;) {
        const { jobs, rest } = await this.#database.insist(() => this.#rescueSome(left));
        rescued.push(...jobs);
        left = rest;
      }
    }
    return rescued;
  }

  async prune(ages: RetentionAges, limit: number): Promise<number> {
    const now = this.#database.now();
    await this.#intents.sweep(now);
    let pruned = 0;
    for (const state of FINAL) {
      const age = ages[state];
      while (age !== null && pruned < limit) {
        const { read, removed } = await this.#database.insist(() =>
          this.#pruneSome(state, now - age, limit - pruned)
        );
        pruned += removed;
        if (!read) break;
      }
    }
    return pruned;
  }

  /** One commit; `null` where somebody was faster. */
  async #rescueSome(ids: readonly string[]) {
    const { keys } = this.#database;
    const now = this.#database.now();
    const entries = await this.#database.getMany(
      ids.flatMap((id) => [keys.claim(id), keys.unfinished(id)]),
      2,
    );
    const draft = new Draft();
    const rescued: JobRecord[] = [];
    let rest: readonly string[] = [];
    for (let i = 0; i < ids.length; i++) {
      const running = await this.#leases.running(entries[2 * i], entries[2 * i + 1]);
      if (running === null || running.claim.record.leaseUntil > now) continue;
      const { draft: one, job } = await this.#settle.rescue(running, now);
      if (!draft.fits(one)) {
        rest = ids.slice(i);
        break;
      }
      draft.add(one);
      this.#leases.interfere(draft, running);
      rescued.push({ ...job });
    }
    if (draft.isEmpty) return { jobs: [], rest };
    if (await this.#database.commit(draft, now) === null) return null;
    return { jobs: rescued, rest };
  }

  /**
   * Forgets jobs that finished in one commit, all or as many as fit. Their ids are kept together, in
   * the order of finishing; those that were retried or removed since are passed over.
   */
  async #pruneSome(state: typeof FINAL[number], before: EpochMs, limit: number) {
    const { keys } = this.#database;
    const prefix = keys.section("e", state);
    const fence = await this.#database.get(keys.fence("finished")); // before what it guards
    const [oldest] = await this.#database.page({ prefix, end: [...prefix, before] }, 1);
    if (oldest === undefined) return { read: false, removed: 0 };
    const ids = decode<string[]>(oldest.value);
    const entries = await this.#database.getMany(ids.map((id) => keys.finished(id)));
    const draft = new Draft();
    draft.check(fence);
    draft.check(oldest);
    let removed = 0;
    let at = 0;
    for (; at < ids.length && removed < limit; at++) {
      const job = this.#finishedThen(entries[at], state, oldest.key[3] as EpochMs);
      if (job === null) continue;
      const one = new Draft();
      this.#moves.leave(one, job);
      await this.#moves.forget(one, job);
      if (!draft.fits(one)) break;
      draft.add(one);
      removed++;
    }
    if (at === ids.length) draft.delete(oldest.key);
    else draft.set(oldest.key, encode(ids.slice(at)));
    return await this.#database.commit(draft) === null ? null : { read: true, removed };
  }

  /** The job as it finished at that moment, unless it has been retried or removed since. */
  #finishedThen({ value }: KvEntry, state: string, at: EpochMs): StoredJob | null {
    if (value === null) return null;
    const job = jobs.unpack(value);
    return job.record.state === state && job.record.completedAt === at ? job : null;
  }
}
