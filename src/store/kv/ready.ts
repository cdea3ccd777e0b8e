/**
 * The jobs of a queue that are first in line. A job stands under a key of its own, or, where several of
 * the same name, priority and moment were written at once, in a block with them under the key of the
 * first: a claim then reads and deletes one key for all of them.
 */

import type { KvEntry, KvKey } from "./client.ts";
import type { Database } from "./database.ts";
import type { Slim } from "./format.ts";
import { jobs, type StoredJob } from "./record.ts";
import { decode } from "./value.ts";

/** A key in a line, and who stands there: one job or a block, in the order of ids. */
export interface Place {
  readonly key: KvKey;
  readonly value: Uint8Array;
  readonly jobs: readonly Slim[];
}

/** A job and where it stands. Of a place the first jobs come first. */
export interface InLine {
  readonly job: StoredJob;
  readonly place: Place;
}

/** One job of a place. */
interface Candidate {
  readonly id: string;
  readonly at: number;
  readonly place: Place;
}

/** Entries are read in these portions. */
const MAX_PORTION = 500;
const MIN_PORTION = 10;
/** Weight of the latest claim in the average. */
const WEIGHT = 0.3;

export class Ready {
  readonly #database: Database;
  /** How many jobs stood under a key lately: so many fewer keys are read. */
  #perPlace = 1;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The first `limit` jobs over the lines of these names: by priority, moment and id. */
  async first(
    queue: string,
    lane: number,
    names: readonly string[],
    limit: number,
  ): Promise<InLine[]> {
    const wanted = Math.ceil(limit / this.#perPlace / names.length);
    const batchSize = Math.min(
      MAX_PORTION,
      names.length === 1 ? wanted + 1 : MIN_PORTION + wanted,
    );
    const lines = await Promise.all(names.map(async (name) => {
      const prefix = this.#database.keys.section("r", queue, lane, name);
      const line = new Line(this.#database.list({ prefix }, { batchSize }));
      await line.advance();
      return line;
    }));
    const found: Candidate[] = [];
    while (found.length < limit) {
      let best: Line | null = null;
      for (const line of lines) {
        if (line.first !== null && (best === null || before(line.first, best.first!))) best = line;
      }
      if (best === null) break;
      found.push(best.first!);
      const more = best.advance(); // mostly there is nothing to wait for
      if (more !== null) await more;
    }
    this.#note(found);
    return await this.#records(found);
  }

  #note(found: readonly Candidate[]): void {
    if (found.length === 0) return;
    const places = new Set(found.map(({ place }) => place)).size;
    this.#perPlace += WEIGHT * (found.length / places - this.#perPlace);
  }

  /** The records of jobs; what is large is read where it is. */
  async #records(found: readonly Candidate[]): Promise<InLine[]> {
    const large = found.filter(({ place }) => place.value.length === 0);
    const keys = large.map(({ id }) => this.#database.keys.unfinished(id));
    const entries = large.length === 0 ? [] : await this.#database.getMany(keys);
    const values = new Map(entries.map(({ key, value }) => [key[2], value]));
    const records: InLine[] = [];
    for (const { id, at, place } of found) {
      const isLarge = place.value.length === 0;
      const value = isLarge ? values.get(id) ?? null : null;
      if (isLarge && value === null) continue; // taken meanwhile: the commit will find out
      const stored = isLarge ? jobs.unpack(value) : jobs.fill(place.jobs[at]);
      const job = stored.pieces === null ? stored : await this.#database.complete(jobs, id, stored);
      records.push({ job, place });
    }
    return records;
  }
}

/** The line of one name. */
class Line {
  /** The first job that was not taken yet. */
  first: Candidate | null = null;
  readonly #entries: AsyncIterator<KvEntry>;
  /** Jobs behind the first, in their order: those of blocks that reach beyond the next place. */
  #behind: Candidate[] = [];
  #at = 0;
  #next: Place | null | undefined;

  constructor(entries: AsyncIterator<KvEntry>) {
    this.#entries = entries;
  }

  /** Goes on to the next job; `null` where that needed no read. */
  advance(): Promise<void> | null {
    const next = this.#behind[this.#at];
    if (next === undefined || this.#next === undefined || this.#interleaves(next)) {
      return this.#read();
    }
    this.first = next;
    this.#at++;
    return null;
  }

  async #read(): Promise<void> {
    for (;;) {
      if (this.#next === undefined) {
        const { value, done } = await this.#entries.next();
        this.#next = done ? null : placeOf(value);
      }
      const next = this.#behind[this.#at];
      if (this.#next === null || next !== undefined && !this.#interleaves(next)) break;
      const place: Place = this.#next;
      const left = this.#behind.slice(this.#at);
      this.#behind = place.jobs.map(({ id }, at) => ({ id: id!, at, place }));
      if (left.length > 0) {
        this.#behind = [...left, ...this.#behind].sort((a, b) => before(a, b) ? -1 : 1);
      }
      this.#at = 0;
      this.#next = undefined;
    }
    this.first = this.#behind[this.#at++] ?? null;
  }

  /** True where the next place begins before a job. */
  #interleaves(job: Candidate): boolean {
    const next = this.#next;
    return next !== null && next !== undefined &&
      before({ id: next.jobs[0].id!, at: 0, place: next }, job);
  }
}

/** Who stands under a key. */
export function placeOf({ key, value }: KvEntry): Place {
  const bytes = value as Uint8Array;
  const found = bytes.length === 0
    ? { id: key[key.length - 1] as string } // it is large, and lies with its record
    : decode<Slim | Slim[]>(bytes);
  return { key, value: bytes, jobs: Array.isArray(found) ? found : [found] };
}

/** True where a job of the queue is ready under one of these names. */
export async function isReady(
  database: Database,
  queue: string,
  lane: number,
  names: readonly string[],
): Promise<boolean> {
  const pages = await Promise.all(
    names.map((name) =>
      database.page({ prefix: database.keys.section("r", queue, lane, name) }, 1)
    ),
  );
  return pages.some((page) => page.length > 0);
}

/** Keys are `prefix r queue lane name -priority runAt id`. */
function before(a: Candidate, b: Candidate): boolean {
  for (const at of [5, 6]) {
    const [x, y] = [a.place.key[at] as number, b.place.key[at] as number];
    if (x !== y) return x < y;
  }
  return a.id < b.id;
}
