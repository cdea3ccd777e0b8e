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
      { get: true, list: true, counts: true, cancel: true, retry: true, remove: true },
    ),
    dlq: standIn(
      async () => (await load()).dlq,
      { get: true, list: true, count: true, replay: true, replayAll: true, purge: true },
    ),
    queues: standIn(
      async () => (await load()).queues,
      { list: true, pause: true, resume: true, configure: true },
    ),
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

const loadUnknownJob = lazy("what knows names", () => import("./unknown_job.ts"));

/**
 * Refuses a name.
 *
 * @throws {DispatchError} `unknown_job`
 */
export async function refuseName(name: string, known: Iterable<string>): Promise<never> {
  throw (await loadUnknownJob()).unknownJob(name, known);
}

/** `engine.runs`. */
export function lazyRuns(load: () => Promise<RunEngine>, names: () => string[]): Runs {
  const runs = standIn<Omit<Runs, "names">>(async () => (await load()).runs, {
    get: true,
    list: true,
    timeline: true,
    inspectStep: true,
    replayFrom: true,
    cancel: true,
    values: true,
    messages: true,
  });
  return Object.assign(runs, { names }) as Runs;
}
