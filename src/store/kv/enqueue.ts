/** Adds jobs: all of a call or none, also where they are too many for one commit. */

import type { EpochMs } from "../../core/clock.ts";
import { DispatchError } from "../../core/errors.ts";
import { type JobRecord, type NewJob, newRecord } from "../../core/job.ts";
import { keyholderName } from "../../core/run.ts";
import { createMutex, type Mutex } from "../../sql/mutex.ts";
import type { KvEntry, KvKey } from "./client.ts";
import type { Database } from "./database.ts";
import { Draft } from "./draft.ts";
import type { Intents } from "./intents.ts";
import type { Moves } from "./moves.ts";
import type { Reader } from "./reader.ts";
import { decode } from "./value.ts";

/** What a call comes to: the answer, and the jobs that are to be added for it. */
interface Plan {
  readonly records: JobRecord[];
  readonly added: JobRecord[];
  /** Unique keys that were free. */
  readonly freeKeys: KvEntry[];
}

export class Enqueue {
  readonly #database: Database;
  readonly #moves: Moves;
  readonly #reader: Reader;
  readonly #intents: Intents;
  /** Calls with unique keys go one after another: at the same time they would spoil each other. */
  readonly #exclusive: Mutex = createMutex();

  constructor(parts: {
    database: Database;
    moves: Moves;
    reader: Reader;
    intents: Intents;
  }) {
    this.#database = parts.database;
    this.#moves = parts.moves;
    this.#reader = parts.reader;
    this.#intents = parts.intents;
  }

  async enqueue(jobs: readonly NewJob[]): Promise<JobRecord[]> {
    if (jobs.length === 0) return [];
    const add = () => this.#database.insist(() => this.#add(jobs));
    const records = jobs.some(({ uniqueKey }) => uniqueKey !== null)
      ? await this.#exclusive(add)
      : await add();
    return records.map((record) => ({ ...record }));
  }

  /** Puts the writes into a draft that the caller commits, for an operation of a user. */
  async draft(jobs: readonly NewJob[]): Promise<{ records: JobRecord[]; draft: Draft }> {
    const now = this.#database.now();
    const plan = await this.#plan(jobs, now);
    if (plan === null) throw keyInTransit();
    const draft = new Draft();
    for (const key of plan.freeKeys) draft.check(key);
    if (plan.freeKeys.length > 0) draft.set(this.#database.keys.fence("unique"));
    for (const record of plan.added) {
      const one = await this.#one(record, now);
      if (!draft.fits(one)) throw tooMany(jobs.length);
      draft.add(one);
    }
    return { records: plan.records.map((record) => ({ ...record })), draft };
  }

  /** One try; `null` where a unique key changed hands meanwhile. */
  async #add(jobs: readonly NewJob[]): Promise<JobRecord[] | null> {
    const now = this.#database.now();
    const { keys } = this.#database;
    const unique = jobs.some(({ uniqueKey }) => uniqueKey !== null);
    // Read before the keys that it guards. One check stands for all of them.
    const fence = unique ? await this.#database.get(keys.fence("unique")) : null;
    const plan = await this.#plan(jobs, now);
    if (plan === null) return null;
    const draft = new Draft();
    if (fence !== null && plan.freeKeys.length > 0) {
      draft.check(fence);
      draft.set(fence.key);
    }
    let fitting = true;
    for (const record of plan.added) {
      const one = await this.#one(record, now);
      fitting = draft.fits(one);
      if (!fitting) break;
      draft.add(one);
    }
    if (fitting) {
      if (draft.isEmpty) return plan.records;
      if (await this.#database.commit(draft, now) === null) return null;
      return plan.records;
    }
    return await this.#intents.add(plan.added, fence, now) ? plan.records : null;
  }

  /** One job, with its unique key. */
  async #one(record: JobRecord, now: EpochMs): Promise<Draft> {
    const draft = new Draft();
    this.#moves.add(draft, record, now);
    if (record.uniqueKey !== null) await this.#moves.takeKey(draft, record);
    return draft;
  }

  /** Who is there already, and who is to be added; `null` while a key is between two jobs. */
  async #plan(jobs: readonly NewJob[], now: EpochMs): Promise<Plan | null> {
    const known = await this.#existing(jobs);
    const { holders, free } = await this.#holders(jobs);
    const made = new Map<string, JobRecord>();
    const plan: Plan = { records: [], added: [], freeKeys: [...free.values()] };
    for (const job of jobs) {
      const byKey = job.uniqueKey === null ? null : nameOf(job.name, job.uniqueKey);
      const holder = byKey === null ? undefined : holders.get(byKey);
      if (holder === null) return null;
      let record = known.get(job.id) ?? made.get(job.id) ?? holder ?? made.get(byKey ?? "");
      if (record === undefined) {
        record = newRecord(job, now);
        plan.added.push(record);
        made.set(job.id, record);
        if (byKey !== null) made.set(byKey, record);
      }
      plan.records.push(record);
    }
    return plan;
  }

  /**
   * Jobs that have one of these ids already. Ids of one call were made one after another, so that a
   * single look at the range from the first to the last mostly finds nothing at all.
   */
  async #existing(jobs: readonly NewJob[]): Promise<Map<string, JobRecord>> {
    const { keys } = this.#database;
    const ids = jobs.map(({ id }) => id).sort();
    const range = {
      start: keys.unfinished(ids[0]),
      end: keys.unfinished(ids[ids.length - 1] + "\u0000"),
    };
    const found = await this.#database.page(range, 100);
    const present = new Set(found.map(({ key }) => key[2] as string));
    const asked = found.length < 100 ? ids.filter((id) => present.has(id)) : ids;
    if (asked.length === 0) return new Map();
    const records = await this.#reader.get([...new Set(asked)]);
    return new Map(records.flatMap((record) => record === null ? [] : [[record.id, record]]));
  }

  /** Who holds the unique keys: a job, nobody (`free`), or one that has just gone (`null`). */
  async #holders(jobs: readonly NewJob[]) {
    const holders = new Map<string, JobRecord | null>();
    const free = new Map<string, KvEntry>();
    const asked = new Map<string, KvKey>();
    for (const { name, uniqueKey } of jobs) {
      if (uniqueKey === null) continue;
      asked.set(nameOf(name, uniqueKey), await this.#moves.keyOf(name, uniqueKey));
    }
    if (asked.size === 0) return { holders, free };
    const entries = await this.#database.getMany([...asked.values()]);
    const names = [...asked.keys()];
    const held = entries.flatMap(({ value }) => value === null ? [] : [decode<string>(value)]);
    const records = new Map(held.length === 0 ? [] : await this.#read(held));
    for (const [i, entry] of entries.entries()) {
      if (entry.value === null) free.set(names[i], entry);
      else holders.set(names[i], records.get(decode<string>(entry.value)) ?? null);
    }
    return { holders, free };
  }

  async #read(ids: readonly string[]): Promise<[string, JobRecord | null][]> {
    const records = await this.#reader.get(ids);
    // Of a call that is not unpacked yet, perhaps because its process has died.
    if (records.includes(null)) await this.#intents.unpackAll();
    return ids.map((id, i) => {
      const record = records[i];
      return [id, record === null || record.completedAt !== null ? null : record];
    });
  }
}

function nameOf(name: string, key: string): string {
  return `${keyholderName(name)}\u0000${key}`;
}

function tooMany(count: number): DispatchError {
  return new DispatchError(
    "invalid_option",
    `Cannot add ${count} jobs to one atomic operation: they are more than a KV takes in a commit`,
    { hint: "Add fewer, about 400 small ones; without tx there is no such limit." },
  );
}

function keyInTransit(): DispatchError {
  return new DispatchError("unique_conflict", "Cannot tell who holds a unique key at the moment", {
    hint: "Its job has just ended; try again.",
  });
}
