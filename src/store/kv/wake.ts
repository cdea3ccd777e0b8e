/**
 * Hints between processes. What is watched in a Deno KV tells of the writes of its own process only, so
 * each process looks: whoever writes something to claim changes a key of its queue, and one read of
 * those keys says whether there is news. It looks often while there is, and rarely while there is none.
 * Within the process a hint needs no look.
 */

import type { Database } from "./database.ts";

/** Between two looks while there is news, in milliseconds; without, it grows by half each time. */
const SHORTEST_MS = 10;

type Waker = (queue: string) => void;

export class Wake {
  readonly #database: Database;
  readonly #longestMs: number;
  readonly #wakers = new Set<Waker>();
  /** Queues that claims ask for, and the news of each that is known here. */
  readonly #known = new Map<string, string | null | undefined>();
  #pauseMs = SHORTEST_MS;
  #cancelLook: (() => void) | null = null;
  #looking = false;
  #closed = false;

  /** @param longestMs how long news of other processes may take; 0 does not look for any */
  constructor(database: Database, longestMs: number) {
    this.#database = database;
    this.#longestMs = longestMs;
  }

  /** Queues that somebody here takes jobs from. */
  note(queues: readonly string[]): void {
    for (const queue of queues) if (!this.#known.has(queue)) this.#known.set(queue, undefined);
  }

  /** This process has written something to claim: those who listen here need not look. */
  send(queues: Iterable<string>, versionstamp: string): void {
    for (const queue of queues) {
      if (this.#known.has(queue)) this.#known.set(queue, versionstamp);
      for (const waker of this.#wakers) waker(queue);
    }
  }

  /** There may be news soon, of which this process will not be told. */
  expect(): void {
    this.#pauseMs = SHORTEST_MS;
    if (!this.#looking) this.#arm();
  }

  /** Calls `waker` with each queue that there is news of. */
  listen(waker: Waker): () => Promise<void> {
    this.#wakers.add(waker);
    this.expect();
    return () => {
      this.#wakers.delete(waker);
      if (this.#wakers.size === 0) this.#cancelLook?.();
      return Promise.resolve();
    };
  }

  close(): void {
    this.#closed = true;
    this.#wakers.clear();
    this.#cancelLook?.();
  }

  #arm(): void {
    this.#cancelLook?.();
    if (this.#longestMs === 0 || this.#wakers.size === 0 || this.#closed) return;
    const pause = Math.min(this.#pauseMs, this.#longestMs);
    this.#cancelLook = this.#database.clock.after(pause, () => void this.#look());
  }

  async #look(): Promise<void> {
    this.#looking = true;
    this.#pauseMs = Math.min(this.#longestMs, this.#pauseMs * 1.5);
    const queues = [...this.#known.keys()];
    try {
      const news = await this.#database.getMany(queues.map((q) => this.#database.keys.news(q)));
      for (const [i, { versionstamp }] of news.entries()) this.#hear(queues[i], versionstamp);
    } catch { // a claim will tell of the outage
      this.#pauseMs = this.#longestMs;
    }
    this.#looking = false;
    this.#arm();
  }

  #hear(queue: string, versionstamp: string | null): void {
    const known = this.#known.get(queue);
    if (versionstamp === null || known !== undefined && known !== null && versionstamp <= known) {
      return;
    }
    this.#known.set(queue, versionstamp);
    this.#pauseMs = SHORTEST_MS;
    for (const waker of this.#wakers) waker(queue);
  }
}
