/**
 * The gate to workflows. What an engine does for runs, `workflow/` included, stands behind
 * `run_engine.ts`, and that is loaded here and nowhere else: when an engine starts that has workflows
 * registered, when one is registered later, or when somebody asks for a run. An application that has
 * jobs only never loads it.
 */

import { DispatchError } from "../core/errors.ts";
import { lazy } from "../core/lazy.ts";
import type { EventStore, RunStore, Store } from "../store/store.ts";
import type { RunEngine, RunEngineOptions } from "./run_engine.ts";

/** Loads what runs need, once. Rejects where the store keeps no runs. */
export type Workflows = () => Promise<RunEngine>;

/** Makes the gate of one engine. */
export function gateToWorkflows(options: RunEngineOptions): Workflows {
  const load = lazy(
    "the code of workflows",
    async () => new (await import("./run_engine.ts")).RunEngine(options),
  );
  // deno-lint-ignore require-await -- async turns a throw into a rejection
  return async () => {
    requireRuns(options.machinery.store);
    return load();
  };
}

/**
 * The parts of a store that workflows need.
 *
 * @throws {DispatchError} `workflows_not_supported`
 */
export function requireRuns({ name, runs, events }: Store): { runs: RunStore; events: EventStore } {
  if (runs !== undefined && events !== undefined) return { runs, events };
  throw new DispatchError(
    "workflows_not_supported",
    `Cannot run workflows: the ${name} store keeps none`,
  );
}
