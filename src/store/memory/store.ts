import { type Clock, systemClock } from "../../core/clock.ts";
import type { Store } from "../store.ts";
import { MemoryJobs } from "./jobs.ts";
import { lazyAdmin, lazyRuns } from "./on_demand.ts";
import { MemoryState } from "./state.ts";

/** What {@link memoryStore} takes. */
export interface MemoryStoreOptions {
  /** Where it gets the time from. Default: the machine's. */
  clock?: Clock;
  /**
   * How many jobs of each final state, how many dead letters, and how many events are kept at most;
   * the oldest make room. Default 10,000, about 10 MB of small jobs.
   */
  maxFinished?: number;
  /** Largest payload or result in bytes of JSON. Default 1 MiB. */
  maxPayloadBytes?: number;
}

/**
 * A store in the memory of this process: nothing to install, nothing survives a restart. Several
 * engines of one process may share one.
 *
 * @example
 * ```ts
 * import { createExtension, memoryStore } from "@dispatch/dispatch";
 *
 * const ext = createExtension({ store: memoryStore({ maxFinished: 500 }), config: false });
 * ```
 */
export function memoryStore(options: MemoryStoreOptions = {}): Store {
  const { clock = systemClock, maxFinished = 10_000 } = options;
  const state = new MemoryState(clock, maxFinished);
  const { verbs, deadLetters, queues } = lazyAdmin(state);
  const { runs, events, load } = lazyRuns(state, maxFinished);
  return {
    name: "memory",
    durable: false,
    maxPayloadBytes: options.maxPayloadBytes ?? 2 ** 20,
    jobs: Object.assign(new MemoryJobs(state, load), verbs),
    deadLetters,
    queues,
    runs,
    events,
    migrate: () => Promise.resolve(),
    ping: () => Promise.resolve(),
    close: () => Promise.resolve(),
    onWake: (wake) => Promise.resolve(state.onWake(wake)),
  };
}
