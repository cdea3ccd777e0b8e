/**
 * The heads of queues. Whoever takes a job that waits, or changes the settings of its queue, writes the
 * queue's head in the same commit; a claim checks nothing else, however many jobs it takes. As long as
 * only one process takes jobs from a queue, it knows the head from its own last commit.
 */

import type { QueueSettings } from "../../core/queue.ts";
import type { Database } from "./database.ts";
import { counted, decode } from "./value.ts";

/** A queue as it was when its head was read. */
export interface Head {
  readonly queue: string;
  /** Of the head: a commit that checks it fails once it has changed. */
  readonly versionstamp: string | null;
  readonly settings: QueueSettings;
}

const UNSET: QueueSettings = { paused: false, concurrency: null };

export class Heads {
  readonly #database: Database;
  /** As they were when this process last claimed. */
  readonly #known = new Map<string, Head>();
  /** Queues that were last seen with a limit: a place that becomes free is news to them. */
  readonly #limited = new Set<string>();

  constructor(database: Database) {
    this.#database = database;
  }

  /** The head of a queue: out of memory, where that is safe because a commit will check it. */
  async get(queue: string): Promise<Head> {
    const known = this.#known.get(queue);
    // Nothing is claimed from a queue that is paused, so no commit would find that it is not any more.
    return known !== undefined && !known.settings.paused ? known : await this.read(queue);
  }

  /** The head of a queue as it is now. */
  async read(queue: string): Promise<Head> {
    const { keys } = this.#database;
    const [head, settings] = await this.#database.getMany([keys.head(queue), keys.settings(queue)]);
    const read: Head = {
      queue,
      versionstamp: head.versionstamp,
      settings: settings.value === null ? UNSET : decode(settings.value),
    };
    this.note(read);
    return read;
  }

  /** What is known of a queue after a commit. */
  note(head: Head): void {
    this.#known.set(head.queue, head);
    if (head.settings.concurrency === null) this.#limited.delete(head.queue);
    else this.#limited.add(head.queue);
  }

  /** A commit has failed: somebody else takes jobs from the queue. */
  doubt(queue: string): void {
    this.#known.delete(queue);
  }

  isLimited(queue: string): boolean {
    return this.#limited.has(queue);
  }

  /** How many more of its jobs may run. */
  async free({ queue, settings: { concurrency } }: Head): Promise<number> {
    if (concurrency === null) return Infinity;
    const { value } = await this.#database.get(this.#database.keys.counter(queue, "running"));
    return concurrency - counted(value);
  }
}
