import type { EpochMs } from "../../core/clock.ts";
import type { EventRecord } from "../../core/event.ts";
import type { Database } from "./database.ts";
import type { Draft } from "./draft.ts";
import { deletePieces, type Stored } from "./format.ts";
import { events } from "./run_record.ts";
import { decode, encode } from "./value.ts";

/** Which events end a wait. */
interface Wanted {
  readonly events: readonly string[];
  readonly key: string | null;
}

/** A place is read so many events at a time. */
const PORTION = 100;

/** Events that are kept, and where those who come late find them. */
export class KeptEvents {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** The oldest that a run has not taken yet. Without a key only those count that came since its start. */
  async first(jobId: string, startedAt: EpochMs, wanted: Wanted): Promise<EventRecord | null> {
    const { keys } = this.#database;
    const { key } = wanted;
    let taken: Promise<Set<string>> | null = null;
    const isFree = async (id: string) => !(await (taken ??= this.#taken(jobId))).has(id);
    const ofRun = keys.section("event", "run", jobId);
    const places = [
      this.#oldest({ prefix: ofRun }, ofRun.length, isFree, wanted.events),
      ...wanted.events.map((name) => {
        const prefix = keys.section("event", "all", name, key ?? "");
        const since = key === null ? { prefix, start: [...prefix, startedAt] } : { prefix };
        return this.#oldest(since, prefix.length, isFree, null);
      }),
    ];
    const found = (await Promise.all(places)).filter((event) => event !== null);
    found.sort((a, b) => a.at !== b.at ? a.at - b.at : a.id < b.id ? -1 : 1);
    for (const { id } of found) {
      const [event] = await this.read([id]);
      if (event !== null) return event.record;
    }
    return null;
  }

  /** Events by their ids. */
  async read(ids: readonly string[]): Promise<(Stored<EventRecord> | null)[]> {
    const { keys } = this.#database;
    const entries = ids.length === 0
      ? []
      : await this.#database.getMany(ids.map((id) => keys.event(id)));
    return await Promise.all(
      entries.map(async ({ value }, i) =>
        value === null ? null : await this.#database.complete(events, ids[i], events.unpack(value))
      ),
    );
  }

  /** An event is kept, for those who come late. */
  keep(draft: Draft, event: EventRecord): void {
    const { keys } = this.#database;
    const { id, jobId, name, idempotencyKey } = event;
    draft.set(keys.event(id), events.pack(draft, keys, id, event).value);
    draft.set(keys.eventPlace(event), encode(name));
    draft.set(keys.eventAge(event.createdAt, id));
    if (idempotencyKey !== null) {
      draft.set(keys.eventOnce(jobId, name, idempotencyKey), encode(id));
    }
  }

  /** An event has reached so many who waited for it. */
  count(draft: Draft, event: Stored<EventRecord>, delivered: number): void {
    const { keys } = this.#database;
    const { id } = event.record;
    const { value } = events.pack(draft, keys, id, { ...event.record, delivered }, event);
    draft.set(keys.event(id), value);
  }

  /** An event is forgotten. */
  drop(draft: Draft, { record: event, pieces }: Stored<EventRecord>): void {
    const { keys } = this.#database;
    const { id, jobId, name, idempotencyKey } = event;
    draft.delete(keys.event(id));
    deletePieces(draft, keys, id, pieces);
    draft.delete(keys.eventPlace(event));
    draft.delete(keys.eventAge(event.createdAt, id));
    if (idempotencyKey !== null) draft.delete(keys.eventOnce(jobId, name, idempotencyKey));
  }

  /** The first event of a place that is free, and whose name is one of these. */
  async #oldest(
    selector: Parameters<Database["list"]>[0],
    length: number,
    isFree: (id: string) => Promise<boolean>,
    names: readonly string[] | null,
  ): Promise<{ at: EpochMs; id: string } | null> {
    for await (const { key, value } of this.#database.list(selector, { batchSize: PORTION })) {
      const [at, id] = key.slice(length) as [EpochMs, string];
      if (names !== null && !names.includes(decode<string>(value))) continue;
      if (await isFree(id)) return { at, id };
    }
    return null;
  }

  async #taken(jobId: string): Promise<Set<string>> {
    const taken = new Set<string>();
    const selector = { prefix: this.#database.keys.section("took", jobId) };
    for await (const { key } of this.#database.list(selector, { batchSize: 500 })) {
      taken.add(key[3] as string);
    }
    return taken;
  }
}
