/**
 * The parts of a memory store that are asked for now and then. They are loaded with the first call
 * that they cannot answer without: an application that enqueues and runs jobs does without.
 */

import { lazy, standIn } from "../../core/lazy.ts";
import { noRuns } from "../../core/run.ts";
import type { EventStore, RunStore } from "../run_store.ts";
import type { DeadLetterStore, QueueStore } from "../store.ts";
import type { MemoryState } from "./state.ts";
import type { MemoryVerbs } from "./verbs.ts";

/** The parts of the port that workflows need. */
export interface LazyRuns {
  readonly runs: RunStore;
  readonly events: EventStore;
  /** Loads what keeps runs: to be called before one is added. */
  load(): Promise<unknown>;
}

/** Until they are loaded there is neither a run nor an event, and they say so. */
export function lazyRuns(state: MemoryState, maxEvents: number): LazyRuns {
  const load = lazy(
    "what keeps runs in memory",
    async () => new (await import("./runs.ts")).MemoryRuns(state, maxEvents),
  );
  const events = async () => (await load()).events;
  return {
    load,
    runs: {
      ...standIn<RunStore>(load, [
        "get",
        "list",
        "save",
        "wait",
        "resume",
        "checkpoints",
        "compensate",
        "rewind",
      ]),
      counts: async () => state.runs === null ? noRuns() : (await load()).counts(),
      unserved: async (...query) => state.runs === null ? [] : (await load()).unserved(...query),
    },
    events: {
      ...standIn<EventStore>(events, ["publish"]),
      prune: async (...ages) => state.runs === null ? 0 : (await events()).prune(...ages),
    },
  };
}

/** The parts of the port for those who look after jobs. */
export interface LazyAdmin {
  readonly verbs: MemoryVerbs;
  readonly deadLetters: DeadLetterStore;
  readonly queues: QueueStore;
}

/** Until there is a letter there is none to purge, and nothing has to be loaded for that. */
export function lazyAdmin(state: MemoryState): LazyAdmin {
  const load = lazy(
    "what looks after jobs in memory",
    async () => new (await import("./admin.ts")).MemoryAdmin(state),
  );
  const letters = async () => (await load()).deadLetters;
  return {
    verbs: standIn(async () => (await load()).verbs, ["cancel", "retry", "remove", "list"]),
    deadLetters: {
      ...standIn<DeadLetterStore>(letters, ["get", "list", "count", "replay"]),
      purge: async (...which) => state.letters.size === 0 ? 0 : (await letters()).purge(...which),
    },
    queues: standIn(async () => (await load()).queues, ["list", "configure"]),
  };
}
