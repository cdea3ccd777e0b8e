import { checkQueue } from "../core/name.ts";
import type { Queue } from "../core/queue.ts";
import type { Store } from "../store/store.ts";
import { checkLimits, type QueueLimits } from "./queue_limits.ts";

/** Looks at queues, holds them and limits them: `engine.queues`. Settings are kept in the store. */
export class Queues {
  readonly #store: () => Store;
  readonly #onPaused: (queue: string) => void;

  /** Made by the engine. */
  constructor(store: () => Store, onPaused: (queue: string) => void) {
    this.#store = store;
    this.#onPaused = onPaused;
  }

  /** Lists the queues that have jobs or settings, by name. */
  async list(): Promise<Queue[]> {
    return await this.#store().queues.list();
  }

  /**
   * Ends claims from a queue, for every worker. What runs already runs to its end.
   *
   * @throws {DispatchError} `invalid_queue`
   */
  async pause(name: string): Promise<void> {
    await this.#store().queues.configure(checkQueue(name), { paused: true });
    this.#onPaused(name);
  }

  /**
   * Has a queue claimed from again.
   *
   * @throws {DispatchError} `invalid_queue`
   */
  async resume(name: string): Promise<void> {
    await this.#store().queues.configure(checkQueue(name), { paused: false });
  }

  /**
   * Sets the limits of a queue; what is left out stays as it is.
   *
   * @throws {DispatchError} `invalid_queue`, `invalid_concurrency`
   */
  async configure(name: string, limits: QueueLimits): Promise<void> {
    const { concurrency } = checkLimits(checkQueue(name), limits);
    await this.#store().queues.configure(name, concurrency === undefined ? {} : { concurrency });
  }
}
