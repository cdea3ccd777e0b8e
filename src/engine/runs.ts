import type { Json } from "../core/json.ts";
import { lazyMethods } from "../core/lazy.ts";
import type { RunState } from "../core/run.ts";
import type { Run, RunStep } from "../core/run_view.ts";
import type { List, ListOptions } from "./list.ts";

/** Which runs to list. */
export interface RunFilter extends ListOptions {
  /** Only runs in this state. */
  state?: RunState;
  /** Only runs of this workflow, whatever its version. */
  name?: string;
  /** Only children of this run. */
  parentRunId?: string;
}

/** A message of a run. */
export interface RunMessage {
  /** Grows from message to message; pass it as `after`. */
  readonly position: number;
  /** What was emitted. */
  readonly message: Json;
  /** When. */
  readonly at: Date;
}

/** Looks at runs of workflows and changes their course: `engine.runs`. */
export interface Runs {
  /** Names of the workflows that are registered in this process. */
  names(): string[];
  /**
   * Reads one run; `null` where there is none of this id.
   *
   * @throws {DispatchError} `invalid_id`, `workflows_not_supported`
   */
  get(id: string): Promise<Run | null>;
  /**
   * Lists runs, the newest first: an array with `nextCursor` beside it.
   *
   * @throws {DispatchError} `invalid_option`, `invalid_id`, `workflows_not_supported`
   */
  list(filter?: RunFilter): Promise<List<Run>>;
  /**
   * Every step of a run, in the order in which they began: what it returned or failed of, and what it
   * waits for.
   *
   * @throws {DispatchError} `invalid_id`, `not_found`, `workflows_not_supported`
   */
  timeline(id: string): Promise<RunStep[]>;
  /**
   * Reads one step of a run.
   *
   * @throws {DispatchError} `invalid_id`, `not_found` for an unknown run or step,
   * `workflows_not_supported`
   */
  inspectStep(id: string, step: string): Promise<RunStep>;
  /**
   * Has a run go on from a step: what was called before it is kept, it and all later ones are done
   * again. Only while the run is not executing; a dead letter of it counts as replayed.
   *
   * @throws {DispatchError} `invalid_id`, `not_found`, `wrong_state`, `unique_conflict`,
   * `workflows_not_supported`
   */
  replayFrom(id: string, step: string): Promise<Run>;
  /**
   * Cancels a run and its children. One that waits is cancelled at once; one that executes is told, as
   * by `engine.jobs.cancel`. With `compensate` it undoes its steps first.
   *
   * @throws {DispatchError} `invalid_id`, `not_found`, `wrong_state`, `workflows_not_supported`
   */
  cancel(id: string, options?: { compensate?: boolean }): Promise<Run>;
  /**
   * The values that a run has set with `step.set`, the latest of each key.
   *
   * @throws {DispatchError} `invalid_id`, `not_found`, `workflows_not_supported`
   */
  values(id: string): Promise<Record<string, Json>>;
  /**
   * The messages that a run has emitted with `step.emit`, from behind a position on.
   *
   * @throws {DispatchError} `invalid_id`, `not_found`, `workflows_not_supported`
   */
  messages(id: string, options?: { after?: number }): Promise<RunMessage[]>;
}

/** The same, before the code for it is loaded. */
export function lazyRuns(
  names: () => string[],
  load: () => Promise<Omit<Runs, "names">>,
): Runs {
  return {
    names,
    ...lazyMethods(load, [
      "get",
      "list",
      "timeline",
      "inspectStep",
      "replayFrom",
      "cancel",
      "values",
      "messages",
    ]),
  };
}
