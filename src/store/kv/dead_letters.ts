import type { DeadLetterRecord } from "../../core/dead_letter.ts";
import { notFound, wrongState } from "../../core/errors.ts";
import { isId } from "../../core/id.ts";
import { type JobRecord, newRecord } from "../../core/job.ts";
import type { DeadLetterQuery, DeadLetterSelector, DeadLetterStore, Page } from "../store.ts";
import type { KvEntry } from "./client.ts";
import { Draft } from "./draft.ts";
import { deletePieces } from "./format.ts";
import type { KvParts } from "./parts.ts";
import { notACursor } from "./reader.ts";
import { letters } from "./record.ts";

/** The dead letters of a KV store. */
export class KvDeadLetters implements DeadLetterStore {
  readonly #parts: KvParts;

  constructor(parts: KvParts) {
    this.#parts = parts;
  }

  async get(id: string): Promise<DeadLetterRecord | null> {
    const found = await this.#parts.letters.find(id);
    return found === null ? null : { ...found.letter.record };
  }

  async list(query: DeadLetterQuery): Promise<Page<DeadLetterRecord>> {
    const { limit, offset, cursor, ...filter } = query;
    const { database } = this.#parts;
    const prefix = database.keys.section("l");
    const before = cursor === undefined ? null : readCursor(cursor);
    const selector = before === null ? { prefix } : { prefix, end: [...prefix, ...before] };
    const items: DeadLetterRecord[] = [];
    let skip = offset;
    for await (const entry of database.list(selector, { reverse: true, batchSize: 100 })) {
      if (!this.#matches(entry, filter) || skip-- > 0) continue;
      if (items.length === limit) {
        const last = items.at(-1);
        return { items, nextCursor: last === undefined ? null : cursorOf(last) };
      }
      items.push({ ...(await this.#parts.letters.read(entry)).record });
    }
    return { items, nextCursor: null };
  }

  async count(filter: DeadLetterSelector): Promise<number> {
    const { database } = this.#parts;
    const all = { prefix: database.keys.section("l") };
    let count = 0;
    for await (const entry of database.list(all, { batchSize: 500 })) {
      if (this.#matches(entry, filter)) count++;
    }
    return count;
  }

  async replay(id: string, jobId: string): Promise<JobRecord> {
    const { database, moves, verbs } = this.#parts;
    return await database.insist(async () => {
      const found = await this.#parts.letters.find(id);
      if (found === null) throw notFound("dead letter", id);
      const { record: letter } = found.letter;
      if (letter.replayedAt !== null) {
        const allowed = "a letter that was not replayed";
        throw wrongState("replay", "dead letter", id, "replayed already", allowed);
      }
      const now = database.now();
      const { jobName: name, ...like } = letter;
      const job = newRecord({ ...like, name, id: jobId, runAt: now, delayMs: 0 }, now);
      const draft = new Draft();
      draft.check(found.entry);
      await verbs.holdKey(draft, "replay", "dead letter", id, job);
      moves.markReplayed(draft, found.letter, now);
      moves.add(draft, job, now);
      return await database.commit(draft, now) === null ? null : job;
    });
  }

  async purge(filter: DeadLetterSelector, limit: number): Promise<number> {
    const { database } = this.#parts;
    const all = { prefix: database.keys.section("l") };
    const selected: KvEntry[] = [];
    if (limit > 0) {
      for await (const entry of database.list(all, { batchSize: 500 })) {
        if (this.#matches(entry, filter)) selected.push(entry);
        if (selected.length >= limit) break;
      }
    }
    let purged = 0;
    const portion = selected.length === 0 ? 1 : await database.maxChecks();
    for (let at = 0; at < selected.length; at += portion) {
      purged += await this.#purge(selected.slice(at, at + portion));
    }
    return purged;
  }

  /** Removes letters as they were read; one that was replayed meanwhile makes its portion go singly. */
  async #purge(entries: readonly KvEntry[]): Promise<number> {
    const { database } = this.#parts;
    const { keys } = database;
    const draft = new Draft();
    for (const entry of entries) {
      const id = entry.key[3] as string;
      draft.check(entry);
      draft.delete(entry.key);
      draft.delete(keys.letterPlace(id));
      deletePieces(draft, keys, id, letters.unpack(entry.value).pieces);
    }
    if (await database.commit(draft) !== null) return entries.length;
    if (entries.length === 1) return 0;
    let purged = 0;
    for (const entry of entries) purged += await this.#purge([entry]);
    return purged;
  }

  #matches({ value }: KvEntry, filter: DeadLetterSelector): boolean {
    const { record: letter } = letters.unpack(value);
    return (filter.queue === undefined || letter.queue === filter.queue) &&
      (filter.jobName === undefined || letter.jobName === filter.jobName) &&
      (filter.replayed === undefined || (letter.replayedAt !== null) === filter.replayed) &&
      (filter.olderThanMs === undefined ||
        letter.failedAt < this.#parts.database.now() - filter.olderThanMs);
  }
}

/** Letters are listed by the time of failure; the id makes the key unique. */
function cursorOf({ failedAt, id }: DeadLetterRecord): string {
  return failedAt.toString().padStart(16, "0") + id;
}

function readCursor(cursor: string): [number, string] {
  const id = cursor.slice(16);
  if (!/^\d{16}/.test(cursor) || !isId("dlq", id)) throw notACursor(cursor);
  return [Number(cursor.slice(0, 16)), id];
}
