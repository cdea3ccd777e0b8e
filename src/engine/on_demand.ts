/**
 * The objects of an engine that are asked for now and then. Each stands in for one that is loaded
 * when the first of its methods is called: an application that enqueues and runs jobs does without.
 */

import { lazy, standIn } from "../core/lazy.ts";
import type { Admin, AdminOptions } from "./admin.ts";
import type { Results, ResultsOptions } from "./results.ts";
import type { RunEngine } from "./run_engine.ts";
import type { Runs } from "./runs.ts";

/** The objects for those who look after jobs. */
export interface LazyAdmin extends Pick<Admin, "jobs" | "dlq" | "queues"> {
  /** Loads all of it. */
  load(): Promise<Admin>;
}

/** Makes those of one engine. */
export function lazyAdmin(options: AdminOptions): LazyAdmin {
  const load = lazy(
    "what looks after jobs",
    async () => new (await import("./admin.ts")).Admin(options),
  );
  return {
    load,
    jobs: standIn(
      async () => (await load()).jobs,
      ["get", "list", "counts", "cancel", "retry", "remove"],
    ),
    dlq: standIn(
      async () => (await load()).dlq,
      ["get", "list", "count", "replay", "replayAll", "purge"],
    ),
    queues: standIn(async () => (await load()).queues, ["list", "pause", "resume", "configure"]),
  };
}

/** Loads what waits for results, once. It is noted where it is to be told of jobs that end. */
export function lazyResults(
  options: ResultsOptions,
  note: (results: Results) => void,
): () => Promise<Results> {
  return lazy("what waits for results", async () => {
    const results = new (await import("./admin.ts")).Results(options);
    note(results);
    return results;
  });
}

/** `engine.runs`. */
export function lazyRuns(load: () => Promise<RunEngine>, names: () => string[]): Runs {
  const runs = standIn<Runs>(async () => (await load()).runs, [
    "get",
    "list",
    "timeline",
    "inspectStep",
    "replayFrom",
    "cancel",
    "values",
    "messages",
  ]);
  return Object.assign(runs, { names });
}
