/**
 * The objects of an engine that are asked for now and then. Each stands in for one that is loaded
 * when the first of its methods is called: an application that enqueues and runs jobs does without.
 */

import { lazy, standIn } from "../core/lazy.ts";
import type { Admin, AdminOptions } from "./admin.ts";
import type { DeadLetters } from "./dead_letters.ts";
import type { Jobs } from "./jobs.ts";
import type { Queues } from "./queues.ts";
import type { Results, ResultsOptions } from "./results.ts";
import type { RunEngine } from "./run_engine.ts";
import type { Runs } from "./runs.ts";

/** Loads the admin objects of one engine, once. */
export function lazyAdmin(options: AdminOptions): () => Promise<Admin> {
  return lazy(
    "the admin objects",
    async () => new (await import("./admin.ts")).Admin(options),
  );
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

/** `engine.jobs`. */
export function lazyJobs(load: () => Promise<Admin>): Jobs {
  return standIn(
    async () => (await load()).jobs,
    ["get", "list", "counts", "cancel", "retry", "remove"],
  );
}

/** `engine.dlq`. */
export function lazyDeadLetters(load: () => Promise<Admin>): DeadLetters {
  return standIn(
    async () => (await load()).dlq,
    ["get", "list", "count", "replay", "replayAll", "purge"],
  );
}

/** `engine.queues`. */
export function lazyQueues(load: () => Promise<Admin>): Queues {
  return standIn(async () => (await load()).queues, ["list", "pause", "resume", "configure"]);
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
