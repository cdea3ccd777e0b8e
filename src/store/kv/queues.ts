import { noJobs } from "../../core/job.ts";
import type { JobCounts, JobState } from "../../core/job.ts";
import type { Queue, QueueSettings } from "../../core/queue.ts";
import type { QueueStore } from "../store.ts";
import { Draft } from "./draft.ts";
import type { KvParts } from "./parts.ts";
import { counted, decode, encode } from "./value.ts";

const UNSET: QueueSettings = { paused: false, concurrency: null };

/** The queues of a KV store. */
export class KvQueues implements QueueStore {
  readonly #parts: KvParts;

  constructor(parts: KvParts) {
    this.#parts = parts;
  }

  async list(): Promise<Queue[]> {
    const { database } = this.#parts;
    const queues = new Map<string, { settings: QueueSettings; counts: JobCounts }>();
    const queue = (name: string) => {
      if (!queues.has(name)) queues.set(name, { settings: UNSET, counts: noJobs() });
      return queues.get(name)!;
    };
    const all = { batchSize: 500 };
    for await (const { key, value } of database.list({ prefix: database.keys.section("c") }, all)) {
      queue(key[2] as string).counts[key[3] as JobState] = counted(value);
    }
    for await (const { key, value } of database.list({ prefix: database.keys.section("q") }, all)) {
      queue(key[2] as string).settings = decode(value);
    }
    return [...queues]
      .filter(([, { settings: { paused, concurrency }, counts }]) =>
        paused || concurrency !== null || Object.values(counts).some((n) => n > 0)
      )
      .map(([name, { settings: { paused, concurrency }, counts }]) => ({
        name,
        paused,
        concurrency,
        counts,
      }))
      .sort((a, b) => a.name < b.name ? -1 : 1);
  }

  async configure(name: string, settings: Partial<QueueSettings>): Promise<void> {
    const { database, heads } = this.#parts;
    const { keys } = database;
    await database.insist(async () => {
      const entry = await database.get(keys.settings(name));
      const before = entry.value === null ? UNSET : decode<QueueSettings>(entry.value);
      const draft = new Draft();
      draft.check(entry);
      draft.set(
        entry.key,
        encode({
          paused: settings.paused ?? before.paused,
          concurrency: settings.concurrency === undefined
            ? before.concurrency
            : settings.concurrency,
        }),
      );
      draft.set(keys.head(name));
      draft.wake(name);
      if (await database.commit(draft) === null) return null;
      heads.doubt(name);
      return true;
    });
  }
}
