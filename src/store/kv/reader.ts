/** Reads jobs: by id, and in lists from the newest on. */

import { DispatchError } from "../../core/errors.ts";
import { isId } from "../../core/id.ts";
import type { JobRecord, JobState } from "../../core/job.ts";
import type { JobQuery, Page } from "../store.ts";
import type { KvEntry, KvKey } from "./client.ts";
import type { Database } from "./database.ts";
import type { Leases } from "./leases.ts";
import { claims, jobs, type Running, runningJob, type StoredJob } from "./record.ts";

/** A job and where it is. */
export interface Found {
  readonly stored: StoredJob;
  /** Its claim, while it runs. */
  readonly running: Running | null;
  /** What a commit checks to be sure that all this is still so. */
  readonly entries: readonly KvEntry[];
}

/** Lists read so many records at a time. */
const PORTION = 100;

export class Reader {
  readonly #database: Database;
  readonly #leases: Leases;

  constructor(database: Database, leases: Leases) {
    this.#database = database;
    this.#leases = leases;
  }

  /** Jobs by id, each as it was at one moment; `null` for those that do not exist. */
  async find(ids: readonly string[]): Promise<(Found | null)[]> {
    const { keys } = this.#database;
    const entries = await this.#database.getMany(
      ids.flatMap((id) => [keys.finished(id), keys.unfinished(id), keys.claim(id)]),
      3,
    );
    return await Promise.all(ids.map((id, i) => this.#found(id, entries.slice(3 * i, 3 * i + 3))));
  }

  async get(ids: readonly string[]): Promise<(JobRecord | null)[]> {
    const found = await this.find([...new Set(ids)]);
    const records = new Map(
      found.flatMap((job) => job === null ? [] : [[job.stored.record.id, job]]),
    );
    return ids.map((id) => {
      const job = records.get(id);
      return job === undefined ? null : { ...job.stored.record };
    });
  }

  async list({ state, queue, name, limit, offset, cursor }: JobQuery): Promise<Page<JobRecord>> {
    if (cursor !== undefined && !isId("job", cursor)) throw notACursor(cursor);
    const matches = ({ record }: StoredJob) =>
      (state === undefined || record.state === state) &&
      (queue === undefined || record.queue === queue) &&
      (name === undefined || record.name === name);
    const items: JobRecord[] = [];
    let skip = offset;
    let more = false;
    for await (const job of this.#inState(state, cursor)) {
      if (!matches(job) || skip-- > 0) continue;
      more = items.length === limit;
      if (more) break;
      const { record } = await this.#database.complete(jobs, job.record.id, job);
      items.push({ ...record });
    }
    const last = items.at(-1);
    return { items, nextCursor: more && last !== undefined ? last.id : null };
  }

  #inState(state: JobState | undefined, before: string | undefined): AsyncIterable<StoredJob> {
    switch (state) {
      case "retrying":
      case "failed":
      case "cancelled":
        return this.#indexed(this.#database.keys.section("s", state), before);
      case "running":
        return this.#indexed(this.#database.keys.section("a"), before);
      case "completed":
        return this.#finished(before);
      case "pending":
        return this.#unfinished(before);
      default:
        return this.#all(before);
    }
  }

  async *#all(before: string | undefined): AsyncGenerator<StoredJob> {
    const lists = [this.#unfinished(before), this.#finished(before)];
    const heads = await Promise.all(lists.map((list) => list.next()));
    let last = "";
    for (;;) {
      const ids = heads.map(({ value, done }) => done ? "" : (value as StoredJob).record.id);
      const at = ids[0] > ids[1] ? 0 : 1;
      const { value, done } = heads[at];
      if (done) return;
      // A job that finished between the two reads is in both.
      if (ids[at] !== last) yield value;
      last = ids[at];
      heads[at] = await lists[at].next();
    }
  }

  async *#finished(before: string | undefined): AsyncGenerator<StoredJob> {
    const section = this.#database.keys.section("f");
    for await (const page of this.pages(section, before)) {
      for (const { value } of page) yield jobs.unpack(value);
    }
  }

  /** Jobs that wait or run: claims are read for a portion at once. */
  async *#unfinished(before: string | undefined): AsyncGenerator<StoredJob> {
    const { keys } = this.#database;
    for await (const page of this.pages(keys.section("w"), before)) {
      const [newest, oldest] = [page[0], page[page.length - 1]].map(({ key }) => key[2] as string);
      const running = new Map<string, KvEntry>();
      const among = { start: keys.claim(oldest), end: keys.claim(newest + "\u0000") };
      for await (const claim of this.#database.list(among, { batchSize: PORTION })) {
        running.set(claim.key[2] as string, claim);
      }
      for (const { key, value } of page) {
        const claim = running.get(key[2] as string);
        const job = jobs.unpack(value);
        yield claim === undefined ? job : runningJob({ job, claim: claims.unpack(claim.value) });
      }
    }
  }

  /** Jobs out of an index, whose keys end with their ids. */
  async *#indexed(section: KvKey, before: string | undefined): AsyncGenerator<StoredJob> {
    for await (const page of this.pages(section, before)) {
      const ids = page.map(({ key }) => key[section.length] as string);
      for (const found of await this.find(ids)) if (found !== null) yield found.stored;
    }
  }

  /** Keys that end with an id, from the newest on. */
  async *pages(section: KvKey, before: string | undefined): AsyncGenerator<KvEntry[]> {
    for (let end = before;;) {
      const selector = end === undefined
        ? { prefix: section }
        : { prefix: section, end: [...section, end] };
      const page = await this.#database.page(selector, PORTION, true);
      if (page.length > 0) yield page;
      if (page.length < PORTION) return;
      end = page[page.length - 1].key[section.length] as string;
    }
  }

  async #found(id: string, entries: readonly KvEntry[]): Promise<Found | null> {
    const [finished, unfinished, claim] = entries;
    if (unfinished.value === null) {
      if (finished.value === null) return null;
      const stored = await this.#database.complete(jobs, id, jobs.unpack(finished.value));
      return { stored, running: null, entries };
    }
    const running = await this.#leases.running(claim, unfinished);
    if (running !== null) return { stored: runningJob(running), running, entries };
    const stored = await this.#database.complete(jobs, id, jobs.unpack(unfinished.value));
    return { stored, running, entries };
  }
}

/** The refusal of a cursor that no page has given. */
export function notACursor(cursor: string): DispatchError {
  return new DispatchError("invalid_option", `Cannot go on behind ${JSON.stringify(cursor)}`, {
    hint: "A cursor is the nextCursor of the page before.",
  });
}
