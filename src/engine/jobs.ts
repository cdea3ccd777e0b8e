import { invalidOption, show } from "../core/errors.ts";
import { checkId } from "../core/id.ts";
import {
  type Job,
  JOB_STATES,
  type JobCounts,
  type JobRecord,
  type JobState,
  toJob,
} from "../core/job.ts";
import { checkJobName, checkQueue, listNames } from "../core/name.ts";
import type { Store } from "../store/store.ts";
import { type List, type ListOptions, readPage, toList } from "./list.ts";

/** Which jobs to list. */
export interface JobFilter extends ListOptions {
  /** Only jobs in this state. */
  state?: JobState;
  /** Only jobs of this queue. */
  queue?: string;
  /** Only jobs of this name. */
  name?: string;
}

/** Looks at jobs and changes their course: `engine.jobs`. */
export class Jobs {
  readonly #store: () => Store;
  readonly #onCancelled: (job: JobRecord) => void;

  /** Made by the engine. */
  constructor(store: () => Store, onCancelled: (job: JobRecord) => void) {
    this.#store = store;
    this.#onCancelled = onCancelled;
  }

  /**
   * Reads one job; `null` where there is none of this id.
   *
   * @throws {DispatchError} `invalid_id`
   */
  async get(id: string): Promise<Job | null> {
    const [record] = await this.#store().jobs.get([checkId("job", id)]);
    return record === null ? null : toJob(record);
  }

  /**
   * Lists jobs, the newest first: an array with `nextCursor` beside it.
   *
   * @throws {DispatchError} `invalid_option`
   */
  async list(filter: JobFilter = {}): Promise<List<Job>> {
    const { state, queue, name } = filter;
    if (state !== undefined && !JOB_STATES.includes(state)) {
      throw invalidOption(
        `Cannot list jobs of state ${show(state)}`,
        `Known states are ${listNames(JOB_STATES)}.`,
      );
    }
    if (queue !== undefined) checkQueue(queue);
    if (name !== undefined) checkJobName(name);
    return toList(
      await this.#store().jobs.list({ state, queue, name, ...readPage(filter) }),
      toJob,
    );
  }

  /** Counts all jobs by state. */
  async counts(): Promise<JobCounts> {
    return await this.#store().jobs.counts();
  }

  /**
   * Cancels. A job that waits is cancelled at once. One that runs is told: its signal aborts, at
   * once where it runs in this process and within a heartbeat elsewhere, and it ends `cancelled`
   * unless its handler completes before it learns of it.
   *
   * @throws {DispatchError} `invalid_id`, `not_found`, `wrong_state` when it has ended
   */
  async cancel(id: string): Promise<Job> {
    const record = await this.#store().jobs.cancel(checkId("job", id));
    this.#onCancelled(record);
    return toJob(record);
  }

  /**
   * Makes a failed, cancelled or retrying job ready now, with all its retries. Its dead letter
   * counts as replayed from then on.
   *
   * @throws {DispatchError} `invalid_id`, `not_found`, `wrong_state`, `unique_conflict`
   */
  async retry(id: string): Promise<Job> {
    return toJob(await this.#store().jobs.retry(checkId("job", id)));
  }

  /**
   * Removes a job that is not running. Its dead letter, if it has one, stays.
   *
   * @throws {DispatchError} `invalid_id`, `not_found`, `wrong_state`
   */
  async remove(id: string): Promise<void> {
    await this.#store().jobs.remove(checkId("job", id));
  }
}
