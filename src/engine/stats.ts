import type { JobCounts } from "../core/job.ts";
import { noRuns, parseRunName, type RunCounts } from "../core/run.ts";
import type { Store } from "../store/store.ts";
import { UNSERVED_AFTER_MS } from "./retention.ts";

/** Figures about everything in a store. */
export interface Stats {
  /** Jobs by state. A run of a workflow is a job, and counted among them. */
  jobs: JobCounts;
  /** Dead letters, replayed ones included. */
  dlqCount: number;
  /** Runs of workflows by state. */
  workflows: RunCounts;
  /** Runs that have been due for 30 s, of versions that are not registered in this process. */
  unserved: { name: string; version: number; runs: number }[];
}

/** Counts everything. */
export async function countAll(store: Store, jobNames: readonly string[]): Promise<Stats> {
  const [jobs, dlqCount, workflows, unserved] = await Promise.all([
    store.jobs.counts(),
    store.deadLetters.count({}),
    store.runs?.counts() ?? noRuns(),
    store.runs?.unserved(jobNames, UNSERVED_AFTER_MS) ?? [],
  ]);
  return {
    jobs,
    dlqCount,
    workflows,
    unserved: unserved.map(({ jobName, runs }) => ({ ...parseRunName(jobName), runs })),
  };
}
