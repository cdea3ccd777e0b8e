import type { Queue, QueueSettings } from "../../core/queue.ts";
import type { QueueStore } from "../store.ts";
import type { MemoryState } from "./state.ts";

/** The queues of a memory store. */
export class MemoryQueues implements QueueStore {
  readonly #state: MemoryState;

  constructor(state: MemoryState) {
    this.#state = state;
  }

  // deno-lint-ignore require-await -- async turns a throw into a rejection
  async list(): Promise<Queue[]> {
    return [...this.#state.queues.values()]
      .filter((q) =>
        q.paused || q.concurrency !== null || Object.values(q.counts).some((n) => n > 0)
      )
      .map(({ name, paused, concurrency, counts }) => ({
        name,
        paused,
        concurrency,
        counts: { ...counts },
      }))
      .sort((a, b) => a.name < b.name ? -1 : 1);
  }

  // deno-lint-ignore require-await
  async configure(name: string, settings: Partial<QueueSettings>): Promise<void> {
    const queue = this.#state.queue(name);
    if (settings.paused !== undefined) queue.paused = settings.paused;
    if (settings.concurrency !== undefined) queue.concurrency = settings.concurrency;
    this.#state.wake(name);
  }
}
