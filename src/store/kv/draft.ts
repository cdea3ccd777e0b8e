/**
 * Writes that are to happen together, collected before they are handed to the KV: so that they can be
 * counted against its limits, and done again when the database was locked.
 */

import type { EpochMs } from "../../core/clock.ts";
import type { JobState } from "../../core/job.ts";
import type { RunState } from "../../core/run.ts";
import { type Block, blockOf, hasRoom } from "./block.ts";
import type { KvAtomic, KvEntry, KvKey } from "./client.ts";
import { type Keys, sizeOf } from "./keys.ts";
import { encode, NOTHING } from "./value.ts";

/** Of a commit, each a little below what is refused. */
const MAX_WRITES = 960;
const MAX_BYTES = 790_000;
const MAX_KEY_BYTES = 78_000;

/** The last of these is a job's; what follows it in a commit is the same for many jobs. */
type FinalState = "completed" | "failed" | "cancelled";

/**
 * What a commit leaves to do for others: tell of runs that have ended, cancel runs that a parent no
 * longer wants, forget what hangs on runs that are gone.
 */
export type Errand = "ended" | "unwanted" | "gone";

/** The runs of each errand, by their ids. */
export type Errands = { readonly [Kind in Errand]?: readonly string[] };

const NONE: ReadonlySet<string> = new Set();
const NOTHING_TOUCHED: ReadonlyMap<string, KvKey> = new Map();
const NO_RUNS: ReadonlyMap<RunState, number> = new Map();
const NO_ERRANDS: ReadonlyMap<Errand, string[]> = new Map();
const NOTHING_COUNTED: ReadonlyMap<string, Map<JobState, number>> = new Map();
const NOTHING_FINISHED: ReadonlyMap<FinalState, string[]> = new Map();

export class Draft {
  readonly #sets: [KvKey, Uint8Array][] = [];
  readonly #deletes: KvKey[] = [];
  readonly #checks: { readonly key: KvKey; readonly versionstamp: string | null }[] = [];
  // A draft is made for each job, and most have little of all this: what is empty is not there.
  #counts: Map<string, Map<JobState, number>> | null = null;
  #finished: Map<FinalState, string[]> | null = null;
  #wakes: Set<string> | null = null;
  #touched: Map<string, KvKey> | null = null;
  #runs: Map<RunState, number> | null = null;
  #errands: Map<Errand, string[]> | null = null;
  #errandsKey: KvKey | null = null;
  #places: Set<string> | null = null;
  readonly #blocks: Block[] = [];
  /** The block of each line that takes the next job. */
  #open: Map<string, Block> | null = null;
  /** Writes that jobs share, and the bytes of their keys. */
  #shared = 0;
  #sharedBytes = 0;
  /** Writes that may have to be added in the end. */
  #reserved = 0;
  #keyBytes = 0;
  #bytes = 0;
  #blockKeyBytes = 0;
  #blockBytes = 0;

  /** Fails the commit where the entry has changed since it was read. */
  check({ key, versionstamp }: Pick<KvEntry, "key" | "versionstamp">): void {
    this.#checks.push({ key, versionstamp });
  }

  set(key: KvKey, value: Uint8Array = NOTHING): void {
    const size = sizeOf(key);
    this.#sets.push([key, value]);
    this.#keyBytes += size;
    this.#bytes += 2 * size + value.length;
  }

  /** Changes a key that stands for others, once in a commit. */
  touch(key: KvKey): void {
    this.#touched ??= new Map();
    const name = key.join("\u0000");
    if (!this.#touched.has(name)) this.#share(sizeOf(key) + NOTHING.length);
    this.#touched.set(name, key);
  }

  delete(key: KvKey): void {
    this.#deletes.push(key);
    this.#bytes += sizeOf(key);
  }

  /** Takes a place as it was read: what is written of it a second time would undo the first. */
  take(entry: KvEntry): void {
    this.check(entry);
    this.delete(entry.key);
    (this.#places ??= new Set()).add(entry.key.join("\u0000"));
  }

  /** Keeps room for a value that may have to be set in the end. */
  reserve(key: KvKey, value: Uint8Array): void {
    const size = sizeOf(key);
    this.#reserved++;
    this.#keyBytes += size;
    this.#bytes += 2 * size + value.length;
  }

  /**
   * A job stands in line, under a key that ends with its id. Those that stand together and come in
   * the order of their ids are written under one key.
   */
  ready(key: KvKey, value: Uint8Array): void {
    const line = key.slice(2, -1).join("\u0000");
    this.#open ??= new Map();
    let block = this.#open.get(line);
    if (block === undefined || !hasRoom(block, key, value)) {
      this.#open.set(line, block = { jobs: [], bytes: 2 });
      this.#blocks.push(block);
      const size = sizeOf(key);
      this.#blockKeyBytes += size;
      this.#blockBytes += 2 * size + 2;
    }
    block.jobs.push([key, value]);
    block.bytes += value.length + 1;
    this.#blockBytes += value.length + 1;
  }

  /** A queue has so many jobs more, or fewer, in this state. */
  count(queue: string, state: JobState, n: number): void {
    this.#counts ??= new Map();
    let counts = this.#counts.get(queue);
    if (counts === undefined) this.#counts.set(queue, counts = new Map());
    const before = counts.get(state);
    if (before === undefined) this.#share(3 * queue.length + 120);
    counts.set(state, (before ?? 0) + n);
  }

  /** There are so many runs more, or fewer, in this state. */
  countRun(state: RunState, n: number): void {
    this.#runs ??= new Map();
    if (!this.#runs.has(state)) this.#share(130);
    this.#runs.set(state, (this.#runs.get(state) ?? 0) + n);
  }

  /** Something is left to do for others: see `aftermath.ts`. */
  leave(errand: Errand, id: string): void {
    this.#errands ??= new Map();
    if (this.#errands.size === 0) this.#share(160);
    const ids = this.#errands.get(errand);
    if (ids === undefined) this.#errands.set(errand, [id]);
    else ids.push(id);
    this.#bytes += id.length + 3;
  }

  /** A job has finished: retention has to find it. */
  finish(state: FinalState, id: string): void {
    this.#finished ??= new Map();
    const ids = this.#finished.get(state);
    if (ids === undefined) {
      this.#finished.set(state, [id]);
      this.#share(100);
    } else ids.push(id);
    this.#bytes += id.length + 3;
  }

  /** A queue may have something to claim. */
  wake(queue: string): void {
    this.#wakes ??= new Set();
    if (!this.#wakes.has(queue)) this.#share(3 * queue.length + 120);
    this.#wakes.add(queue);
  }

  /** The queues to wake once this is written. */
  get wakes(): ReadonlySet<string> {
    return this.#wakes ?? NONE;
  }

  get checks(): number {
    return this.#checks.length;
  }

  /** Where it says what is left to do for others, once this is written; `null` where nothing is. */
  get errandsKey(): KvKey | null {
    return this.#errandsKey;
  }

  get isEmpty(): boolean {
    return this.#sets.length + this.#deletes.length + this.#blocks.length === 0;
  }

  /** True where both may be in one commit, which may have so many checks. */
  fits(other: Draft, maxChecks = Infinity): boolean {
    if (this.#checks.length + other.#checks.length > maxChecks) return false;
    for (const place of other.#places ?? NONE) if (this.#places?.has(place)) return false;
    const shared = this.#sharedBytes + other.#sharedBytes;
    return this.#writes + other.#writes + this.#shared + this.#newTo(other) <= MAX_WRITES &&
      this.#allKeyBytes + other.#allKeyBytes + shared <= MAX_KEY_BYTES &&
      this.#allBytes + other.#allBytes + 2 * shared <= MAX_BYTES;
  }

  /** Adds what another has collected. */
  add(other: Draft): void {
    for (const set of other.#sets) this.#sets.push(set);
    for (const key of other.#deletes) this.#deletes.push(key);
    for (const check of other.#checks) this.#checks.push(check);
    for (const [queue, counts] of other.#counts ?? NOTHING_COUNTED) {
      for (const [state, n] of counts) this.count(queue, state, n);
    }
    for (const [state, ids] of other.#finished ?? NOTHING_FINISHED) {
      for (const id of ids) {
        this.finish(state, id);
        this.#bytes -= id.length + 3; // counted with the other's
      }
    }
    for (const queue of other.wakes) this.wake(queue);
    for (const key of (other.#touched ?? NOTHING_TOUCHED).values()) this.touch(key);
    for (const [state, n] of other.#runs ?? NO_RUNS) this.countRun(state, n);
    for (const [errand, ids] of other.#errands ?? NO_ERRANDS) {
      for (const id of ids) {
        this.leave(errand, id);
        this.#bytes -= id.length + 3; // counted with the other's
      }
    }
    for (const place of other.#places ?? NONE) (this.#places ??= new Set()).add(place);
    this.#reserved += other.#reserved;
    this.#keyBytes += other.#keyBytes;
    this.#bytes += other.#bytes;
    for (const { jobs } of other.#blocks) for (const [key, value] of jobs) this.ready(key, value);
  }

  /** Hands everything to an atomic operation. */
  applyTo(op: KvAtomic, keys: Keys, now: EpochMs): void {
    if (this.#checks.length > 0) op.check(...this.#checks);
    for (const key of this.#deletes) op.delete(key);
    for (const [key, value] of this.#sets) op.set(key, value);
    for (const { jobs, bytes } of this.#blocks) op.set(jobs[0][0], blockOf(jobs, bytes));
    for (const [queue, counts] of this.#counts ?? NOTHING_COUNTED) {
      for (const [state, n] of counts) {
        if (n !== 0) op.sum(keys.counter(queue, state), BigInt.asUintN(64, BigInt(n)));
      }
    }
    for (const [state, ids] of this.#finished ?? NOTHING_FINISHED) {
      op.set(keys.finishedTogether(state, now, crypto.randomUUID()), encode(ids));
    }
    for (const queue of this.wakes) op.set(keys.news(queue), NOTHING);
    for (const key of (this.#touched ?? NOTHING_TOUCHED).values()) op.set(key, NOTHING);
    for (const [state, n] of this.#runs ?? NO_RUNS) {
      if (n !== 0) op.sum(keys.runCounter(state), BigInt.asUintN(64, BigInt(n)));
    }
    if (this.#errands !== null) {
      this.#errandsKey ??= keys.after(crypto.randomUUID());
      op.set(this.#errandsKey, encode(Object.fromEntries(this.#errands)));
    }
  }

  /** One more write that jobs share. */
  #share(bytes: number): void {
    this.#shared++;
    this.#sharedBytes += bytes;
  }

  get #writes(): number {
    return this.#sets.length + this.#deletes.length + this.#blocks.length + this.#reserved;
  }

  get #allKeyBytes(): number {
    return this.#keyBytes + this.#blockKeyBytes;
  }

  get #allBytes(): number {
    return this.#bytes + this.#blockBytes;
  }

  /** How many of the shared writes of another this does not have yet. */
  #newTo(other: Draft): number {
    let writes = 0;
    for (const [state] of other.#finished ?? NOTHING_FINISHED) {
      if (!this.#finished?.has(state)) writes++;
    }
    for (const queue of other.wakes) if (!this.#wakes?.has(queue)) writes++;
    for (const name of (other.#touched ?? NOTHING_TOUCHED).keys()) {
      if (!this.#touched?.has(name)) writes++;
    }
    for (const [state] of other.#runs ?? NO_RUNS) if (!this.#runs?.has(state)) writes++;
    if (this.#errands === null && other.#errands !== null) writes++;
    for (const [queue, counts] of other.#counts ?? NOTHING_COUNTED) {
      const here = this.#counts?.get(queue);
      for (const state of counts.keys()) if (!here?.has(state)) writes++;
    }
    return writes;
  }
}
