/** What is taken back or forgotten as time goes by: leases that ran out, jobs past their retention. */

import type { EpochMs } from "../../core/clock.ts";
import type { JobRecord } from "../../core/job.ts";
import { isRunName } from "../../core/run.ts";
import type { RetentionAges } from "../store.ts";
import type { Aftermath } from "./aftermath.ts";
import type { KvEntry } from "./client.ts";
import type { Database } from "./database.ts";
import type { Deliveries } from "./deliveries.ts";
import { Draft } from "./draft.ts";
import type { Intents } from "./intents.ts";
import type { Leases } from "./leases.ts";
import type { Moves } from "./moves.ts";
import { claims, jobs, type StoredJob } from "./record.ts";
import type { RunEnds } from "./run_ends.ts";
import type { StoredFlow } from "./run_record.ts";
import type { RunSteps } from "./run_steps.ts";
import type { Settle } from "./settle.ts";
import { decode, encode } from "./value.ts";

const FINAL = ["completed", "failed", "cancelled"] as const;

export class Sweep {
  readonly #database: Database;
  readonly #leases: Leases;
  readonly #moves: Moves;
  readonly #settle: Settle;
  readonly #intents: Intents;
  readonly #steps: RunSteps;
  readonly #ends: RunEnds;
  readonly #aftermath: Aftermath;
  readonly #deliveries: Deliveries;

  constructor(parts: {
    database: Database;
    leases: Leases;
    moves: Moves;
    settle: Settle;
    intents: Intents;
    runSteps: RunSteps;
    runEnds: RunEnds;
    aftermath: Aftermath;
    deliveries: Deliveries;
  }) {
    this.#database = parts.database;
    this.#leases = parts.leases;
    this.#moves = parts.moves;
    this.#settle = parts.settle;
    this.#intents = parts.intents;
    this.#steps = parts.runSteps;
    this.#ends = parts.runEnds;
    this.#aftermath = parts.aftermath;
    this.#deliveries = parts.deliveries;
  }

  /** Takes back leases that ran out, and goes on with what processes left half done. */
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
    await this.#aftermath.flushAll();
    await this.#deliveries.deliverAll();
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
    await this.#aftermath.flush();
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
    const all = await Promise.all(
      ids.map((_, i) => this.#leases.running(entries[2 * i], entries[2 * i + 1])),
    );
    const found = all.filter((running) => running !== null);
    const runs = await this.#ends.read(found.map((running) => [running, null]));
    const maxChecks = await this.#database.maxChecks();
    for (const [i, running] of all.entries()) {
      if (running === null || running.claim.record.leaseUntil > now) continue;
      const run = runs.get(running.job.record.id) ?? null;
      const { draft: one, job } = await this.#settle.rescue(running, run, now);
      this.#leases.interfere(one, running);
      if (!draft.fits(one, maxChecks)) {
        rest = ids.slice(i);
        break;
      }
      draft.add(one);
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
    const flows = await this.#runsAmong(entries);
    if (flows.size > 0 && !await this.#aftermath.isDone([...flows.keys()])) return null;
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
      await this.#moves.forget(one, job, flows.get(job.record.id) ?? null);
      if (!draft.fits(one)) break;
      draft.add(one);
      removed++;
    }
    if (at === ids.length) draft.delete(oldest.key);
    else draft.set(oldest.key, encode(ids.slice(at)));
    return await this.#database.commit(draft) === null ? null : { read: true, removed };
  }

  /** What the runs among finished jobs have beside their jobs. */
  async #runsAmong(entries: readonly KvEntry[]): Promise<Map<string, StoredFlow>> {
    const ids = entries
      .filter(({ value }) => value !== null && isRunName(jobs.unpack(value).record.name))
      .map(({ key }) => key[2] as string);
    const found = await this.#steps.flows(ids);
    return new Map(found.flatMap((run, i) => run === null ? [] : [[ids[i], run.flow]]));
  }

  /** The job as it finished at that moment, unless it has been retried or removed since. */
  #finishedThen({ value }: KvEntry, state: string, at: EpochMs): StoredJob | null {
    if (value === null) return null;
    const job = jobs.unpack(value);
    return job.record.state === state && job.record.completedAt === at ? job : null;
  }
}
