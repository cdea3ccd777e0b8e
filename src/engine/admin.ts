import type { Job, JobRecord } from "../core/job.ts";
import type { Store } from "../store/store.ts";
import { DeadLetters } from "./dead_letters.ts";
import { Jobs } from "./jobs.ts";
import { Queues } from "./queues.ts";
import { countAll, type Stats } from "./stats.ts";

export { Results } from "./results.ts";

/** What the admin objects of an engine are made of. */
export interface AdminOptions {
  /** The store, while the engine is started. */
  readonly store: () => Store;
  /** Names of the jobs that this process can run. */
  readonly names: () => string[];
  /** Called with jobs that were enqueued again. */
  readonly onEnqueued: (job: Job) => void;
  /** Called with jobs that someone has cancelled. */
  readonly onCancelled: (job: JobRecord) => void;
  /** Called with queues that were paused. */
  readonly onPaused: (queue: string) => void;
}

/** What looks at jobs from outside. It is loaded when somebody does: see `on_demand.ts`. */
export class Admin {
  readonly jobs: Jobs;
  readonly dlq: DeadLetters;
  readonly queues: Queues;
  readonly #options: AdminOptions;

  constructor(options: AdminOptions) {
    const { store, onCancelled, onEnqueued, onPaused } = options;
    this.#options = options;
    this.jobs = new Jobs(store, onCancelled);
    this.dlq = new DeadLetters(store, onEnqueued);
    this.queues = new Queues(store, onPaused);
  }

  /** Counts everything. */
  stats(): Promise<Stats> {
    return countAll(this.#options.store(), this.#options.names());
  }
}
