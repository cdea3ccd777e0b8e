import { lazy, lazyMethods } from "../../core/lazy.ts";
import { noRuns } from "../../core/run.ts";
import type { EventStore, RunStore } from "../run_store.ts";
import type { MemoryState } from "./state.ts";

/** The parts of the port that workflows need, as long as nobody needs them. */
export interface LazyRuns {
  readonly runs: RunStore;
  readonly events: EventStore;
  /** Loads what keeps runs: to be called before one is added. */
  load(): Promise<unknown>;
}

/** Makes them. Until they are loaded there is neither a run nor an event, and they say so. */
export function lazyRuns(state: MemoryState, maxEvents: number): LazyRuns {
  const load = lazy(
    "what keeps runs in memory",
    async () => new (await import("./runs.ts")).MemoryRuns(state, maxEvents),
  );
  const events = async () => (await load()).events;
  return {
    load,
    runs: {
      ...lazyMethods(load, ["get", "list", "save", "wait", "checkpoints", "compensate", "rewind"]),
      counts: async () => state.runs === null ? noRuns() : (await load()).counts(),
      unserved: async (...query) => state.runs === null ? [] : (await load()).unserved(...query),
    },
    events: {
      ...lazyMethods(events, ["publish"]),
      prune: async (...ages) => state.runs === null ? 0 : (await events()).prune(...ages),
    },
  };
}
