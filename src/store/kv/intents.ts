/**
 * Calls whose jobs are too many, or too large, for one commit. First everything is laid down where no
 * one looks, then one commit says that it counts, then it is unpacked into jobs commit by commit, each
 * of which moves the mark of what is done. Whoever finds a call that is not unpacked goes on with it,
 * so the process that made it may die at any point: all of the jobs exist then, or none.
 */

import type { EpochMs } from "../../core/clock.ts";
import { DispatchError } from "../../core/errors.ts";
import type { JobRecord } from "../../core/job.ts";
import type { KvEntry, KvKey } from "./client.ts";
import type { Database } from "./database.ts";
import { Draft } from "./draft.ts";
import type { Moves } from "./moves.ts";
import { cut, decode, encode, join } from "./value.ts";

/** What counts from the moment at which it is written. */
interface Intent {
  /** When the call was made. */
  readonly at: EpochMs;
  /** In how many pieces its jobs lie. */
  readonly pieces: number;
  /** How many of its jobs are unpacked. */
  readonly done: number;
}

/** Pieces that nothing refers to after so long are those of a process that has died. */
const STALE_MS = 3_600_000;

export class Intents {
  readonly #database: Database;
  readonly #moves: Moves;

  constructor(database: Database, moves: Moves) {
    this.#database = database;
    this.#moves = moves;
  }

  /** Adds jobs. False where the fence of unique keys, if any is given, has changed. */
  async add(jobs: readonly JobRecord[], fence: KvEntry | null, now: EpochMs): Promise<boolean> {
    const id = crypto.randomUUID();
    const pieces = cut(JSON.stringify(jobs));
    let draft = new Draft();
    for (const [n, piece] of pieces.entries()) {
      const one = new Draft();
      one.set(this.#piece(now, id, n), piece);
      if (!draft.fits(one)) {
        await this.#database.commit(draft, now);
        draft = new Draft();
      }
      draft.add(one);
    }
    if (!draft.isEmpty) await this.#database.commit(draft, now);
    const intent = new Draft();
    if (fence !== null) {
      intent.check(fence);
      intent.set(fence.key);
    }
    // Keys are taken at once: nobody may take them while the jobs are unpacked.
    for (const job of jobs) {
      const key = new Draft();
      await this.#moves.takeKey(key, job);
      if (!intent.fits(key)) throw tooManyKeys();
      intent.add(key);
    }
    intent.set(this.#key(id), encode({ at: now, pieces: pieces.length, done: 0 } satisfies Intent));
    const counts = await this.#database.commit(intent, now) !== null;
    if (counts) await this.#unpack(id);
    return counts;
  }

  /** Goes on with every call that is not unpacked. */
  async unpackAll(): Promise<void> {
    for (const { key } of await this.#database.page({ prefix: this.#section() }, 100)) {
      await this.#unpack(key[3] as string);
    }
  }

  /** Forgets what was laid down and never came to count. */
  async sweep(now: EpochMs): Promise<void> {
    const prefix = this.#database.keys.section("i", "piece");
    const stale = await this.#database.page({ prefix, end: [...prefix, now - STALE_MS] }, 200);
    const draft = new Draft();
    for (const { key } of stale) {
      const intent = await this.#database.get(this.#key(key[4] as string));
      if (intent.value === null) draft.delete(key);
    }
    if (!draft.isEmpty) await this.#database.commit(draft, now);
  }

  async #unpack(id: string): Promise<void> {
    let jobs: JobRecord[] | null = null;
    for (;;) {
      const entry = await this.#database.get(this.#key(id));
      if (entry.value === null) return;
      const intent = decode<Intent>(entry.value);
      jobs ??= await this.#read(id, intent);
      await this.#unpackSome(id, entry, intent, jobs);
    }
  }

  /** One commit. Whether it succeeds is found by the next look at the mark. */
  async #unpackSome(id: string, entry: KvEntry, intent: Intent, jobs: readonly JobRecord[]) {
    const { at, pieces } = intent;
    const draft = new Draft();
    draft.check(entry);
    const last = new Draft();
    last.delete(entry.key);
    for (let n = 0; n < pieces; n++) last.delete(this.#piece(at, id, n));
    let done = intent.done;
    for (; done < jobs.length; done++) {
      const one = new Draft();
      this.#moves.add(one, jobs[done], at);
      const room = new Draft();
      room.add(one);
      room.add(last);
      if (!draft.fits(room)) break;
      draft.add(one);
    }
    if (done === jobs.length) draft.add(last);
    else draft.set(entry.key, encode({ ...intent, done } satisfies Intent));
    await this.#database.commit(draft, at);
  }

  async #read(id: string, { at, pieces }: Intent): Promise<JobRecord[]> {
    const keys = Array.from({ length: pieces }, (_, n) => this.#piece(at, id, n));
    const values = (await this.#database.getMany(keys)).map(({ value }) => value);
    if (values.includes(null)) return []; // another has just finished: the next look finds no mark
    return JSON.parse(join(values));
  }

  #section(): KvKey {
    return this.#database.keys.section("i", "call");
  }

  #key(id: string): KvKey {
    return [...this.#section(), id];
  }

  #piece(at: EpochMs, id: string, n: number): KvKey {
    return this.#database.keys.section("i", "piece", at, id, n);
  }
}

function tooManyKeys(): DispatchError {
  return new DispatchError(
    "invalid_option",
    "Cannot add that many jobs with unique keys in one call: a KV takes them in one commit",
    { hint: "Add about 400 of them at a time." },
  );
}
