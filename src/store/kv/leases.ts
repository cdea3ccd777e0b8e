/**
 * The leases that this process has claimed and not yet let go, kept in memory so that ending them needs
 * neither a read nor a check for each: only the fence is checked, one key for any number of jobs.
 *
 * The rule behind it: whoever writes to the claim of a job that is not in its own memory (a rescue, a
 * cancellation, a settlement by another process) changes the fence in the same commit. An owner whose
 * check of it fails reads again what is left of its leases. Owners do not change the fence, so they
 * never get into each other's way. A KV takes 100 checks in a commit at best, elsewhere 10.
 */

import type { EpochMs } from "../../core/clock.ts";
import type { Lease } from "../../core/lease.ts";
import { createMutex, type Mutex } from "../../sql/mutex.ts";
import type { KvEntry } from "./client.ts";
import type { Database } from "./database.ts";
import { Draft } from "./draft.ts";
import type { Stored } from "./format.ts";
import {
  type ClaimRecord,
  claims,
  jobs,
  type Running,
  type Slice,
  type StoredJob,
} from "./record.ts";

/** What is to be written about a lease, and what is said of it then. */
export interface Change<Status> {
  readonly draft: Draft;
  readonly status: Status;
  /** The claim as it is then; `null` where the lease has ended, left out where it stays as it is. */
  readonly claim?: Stored<ClaimRecord> | null;
  /** Notes what is known of the run then, where its lease is held here. */
  readonly written?: (running: Running) => void;
}

/** What is done about leases. */
export interface Work<Status> {
  /** So many are prepared for one commit. Default 500. */
  readonly portion?: number;
  /** Reads what is needed, for all of them at once. */
  prepare?(running: readonly (readonly [at: number, running: Running])[]): Promise<void>;
  /** Says what is to be written about the lease at an index. */
  build(running: Running, at: number, now: EpochMs): Promise<Change<Status>>;
}

const PORTION = 500;

export class Leases {
  /** What reads or writes these leases goes one after another: their memory must be that of the store. */
  readonly exclusive: Mutex = createMutex();
  readonly #database: Database;
  readonly #held = new Map<string, Running>();
  /** Versionstamp of the fence with which the memory was right. */
  #fence: string | null | undefined;
  /** False where the fence may have changed since. */
  #sure = false;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Jobs were claimed by a commit. */
  add(claimed: readonly { job: StoredJob; claim: Stored<ClaimRecord> }[], token: string): void {
    for (const { job, claim } of claimed) {
      this.#held.set(job.record.id, { token, versionstamp: token, job, claim, slice: {} });
    }
  }

  /** What is known here of a run, where its lease is held here. */
  slice(jobId: string): Slice | null {
    return this.#held.get(jobId)?.slice ?? null;
  }

  /** The fence is known before the first claim, and what is learnt of a run from then on is good. */
  async begin(): Promise<void> {
    if (this.#fence === undefined) await this.exclusive(() => this.refresh());
  }

  /** The lease as it is held here, or `null` where it is not, or no more. */
  held(lease: Lease): Running | null {
    const running = this.#held.get(lease.jobId);
    return running?.token === lease.token ? running : null;
  }

  /** The lease was ended by this process, or by another. */
  drop({ jobId, token }: Lease): void {
    if (this.#held.get(jobId)?.token === token) this.#held.delete(jobId);
  }

  /**
   * Writes about leases, as many in a commit as fit, and puts what is said of each into `statuses`;
   * one that nobody holds changes nothing and gets none. No lease may be there twice.
   */
  async change<Status>(
    leases: readonly Lease[],
    work: Work<Status>,
    statuses: (Status | undefined)[],
  ): Promise<void> {
    await this.exclusive(async () => {
      let open = leases.map((_, i) => i);
      for (;;) {
        const done = await this.#database.insist(() =>
          this.#changeHeld(leases, open, work, statuses)
        );
        if (done.size === 0) break;
        open = open.filter((i) => !done.has(i));
      }
      const portion = await this.#database.maxChecks();
      for (let at = 0; at < open.length; at += portion) {
        let some: readonly number[] = open.slice(at, at + portion);
        while (some.length > 0) {
          some = await this.#database.insist(() =>
            this.#changeForeign(leases, some, work, statuses)
          );
        }
      }
    });
  }

  /** Brings the memory up to date where somebody has interfered. Before the first claim as well. */
  async refresh(): Promise<void> {
    if (this.#sure) return;
    const { keys } = this.#database;
    const { versionstamp } = await this.#database.get(keys.fence("leases")); // before what it guards
    if (versionstamp !== this.#fence) {
      if (this.#held.size > 0) await this.#reread();
      this.#fence = versionstamp;
    }
    this.#sure = true;
  }

  /** Has a commit fail where somebody has interfered since. */
  guard(draft: Pick<Draft, "check">): void {
    draft.check({
      key: this.#database.keys.fence("leases"),
      versionstamp: this.#fence ?? null,
    });
  }

  /** Has a commit that takes a lease from its owner fail where that was faster, or tell the owner. */
  interfere(draft: Draft, { job, versionstamp }: Running): void {
    const { keys } = this.#database;
    draft.check({ key: keys.claim(job.record.id), versionstamp });
    draft.touch(keys.fence("leases"));
  }

  /** Somebody has interfered, perhaps. */
  doubt(): void {
    this.#sure = false;
  }

  /** Leases that are held elsewhere, out of the store; `null` for those that nobody holds. */
  async read(leases: readonly Lease[]): Promise<(Running | null)[]> {
    const { keys } = this.#database;
    const entries = await this.#database.getMany(
      leases.flatMap(({ jobId }) => [keys.claim(jobId), keys.unfinished(jobId)]),
    );
    return await Promise.all(leases.map(async (lease, i) => {
      const running = await this.running(entries[2 * i], entries[2 * i + 1]);
      return running?.token === lease.token ? running : null;
    }));
  }

  /** A running job out of its two entries. */
  async running(claimEntry: KvEntry, jobEntry: KvEntry): Promise<Running | null> {
    if (claimEntry.versionstamp === null || jobEntry.value === null) return null;
    const claim = claims.unpack(claimEntry.value);
    const job = jobs.unpack(jobEntry.value);
    const { id } = job.record;
    return {
      token: claim.record.token ?? claimEntry.versionstamp,
      versionstamp: claimEntry.versionstamp,
      claim: await this.#database.complete(claims, id, claim),
      job: await this.#database.complete(jobs, id, job),
      slice: null,
    };
  }

  /** One commit about leases of this process. Returns which were in it, `null` where it failed. */
  async #changeHeld<Status>(
    leases: readonly Lease[],
    open: readonly number[],
    work: Work<Status>,
    statuses: (Status | undefined)[],
  ): Promise<Set<number> | null> {
    await this.refresh();
    const now = this.#database.now();
    const draft = new Draft();
    this.guard(draft);
    const held = open.flatMap((i) => {
      const running = this.held(leases[i]);
      return running === null ? [] : [[i, running] as const];
    });
    const { changes } = await this.#build(
      draft,
      held.slice(0, work.portion ?? PORTION),
      work,
      now,
      null,
    );
    if (changes.length === 0) return new Set();
    const versionstamp = await this.#database.commit(draft, now);
    if (versionstamp === null) return this.doubt(), null;
    for (const { at, running, change } of changes) {
      const { jobId } = leases[at];
      if (change.claim === null) this.#held.delete(jobId);
      else if (change.claim !== undefined) {
        this.#held.set(jobId, { ...running, versionstamp, claim: change.claim });
      }
      change.written?.(running);
      statuses[at] = change.status;
    }
    return new Set(changes.map(({ at }) => at));
  }

  /** The same for leases that this process does not know: each is read and checked. Returns the rest. */
  async #changeForeign<Status>(
    leases: readonly Lease[],
    open: readonly number[],
    work: Work<Status>,
    statuses: (Status | undefined)[],
  ): Promise<readonly number[] | null> {
    const now = this.#database.now();
    const draft = new Draft();
    const read = await this.read(open.map((i) => leases[i]));
    const found = read.flatMap((running, n) =>
      running === null ? [] : [[open[n], running] as const]
    );
    const interfere = (one: Draft, running: Running) => this.interfere(one, running);
    const { changes, rest } = await this.#build(draft, found, work, now, interfere);
    if (changes.length === 0) return [];
    if (await this.#database.commit(draft, now) === null) return null;
    this.doubt();
    for (const { at, running, change } of changes) {
      change.written?.(running);
      statuses[at] = change.status;
    }
    return rest;
  }

  /** Collects as many changes as fit into a commit. */
  async #build<Status>(
    draft: Draft,
    found: readonly (readonly [number, Running])[],
    work: Work<Status>,
    now: EpochMs,
    fence: ((draft: Draft, running: Running) => void) | null,
  ) {
    const maxChecks = await this.#database.maxChecks();
    await work.prepare?.(found);
    const changes: { at: number; running: Running; change: Change<Status> }[] = [];
    for (const [n, [at, running]] of found.entries()) {
      const change = await work.build(running, at, now);
      fence?.(change.draft, running);
      if (n > 0 && !draft.fits(change.draft, maxChecks)) {
        return { changes, rest: found.slice(n).map(([at]) => at) };
      }
      draft.add(change.draft);
      changes.push({ at, running, change });
    }
    return { changes, rest: [] };
  }

  async #reread(): Promise<void> {
    const { keys } = this.#database;
    const left = new Map(this.#held);
    const ids = [...left.keys()].sort();
    const start = keys.claim(ids[0]);
    const end = keys.claim(ids[ids.length - 1] + "\u0000");
    for await (const entry of this.#database.list({ start, end }, { batchSize: 500 })) {
      const held = left.get(entry.key[2] as string);
      if (held === undefined) continue;
      const claim = claims.unpack(entry.value);
      if ((claim.record.token ?? entry.versionstamp) !== held.token) continue;
      left.delete(held.job.record.id);
      const same = entry.versionstamp === held.versionstamp;
      this.#held.set(held.job.record.id, {
        ...held,
        slice: {}, // of somebody else's writes nothing is known here
        versionstamp: entry.versionstamp!,
        claim: same ? held.claim : await this.#database.complete(claims, held.job.record.id, claim),
      });
    }
    for (const { job, token } of left.values()) this.drop({ jobId: job.record.id, token });
  }
}
