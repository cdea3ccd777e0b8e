import { type DeadLetter, toDeadLetter } from "../core/dead_letter_view.ts";
import { type Duration, parseDuration } from "../core/duration.ts";
import { DispatchError } from "../core/errors.ts";
import { checkId, newId } from "../core/id.ts";
import { type Job, toJob } from "../core/job.ts";
import { checkJobName, checkQueue } from "../core/name.ts";
import type { DeadLetterSelector, Store } from "../store/store.ts";
import { type List, type ListOptions, readPage, toList } from "./list.ts";

/** Which dead letters are meant; what is left out does not narrow. */
export interface DeadLetterFilter {
  /** Only those of this queue. */
  queue?: string;
  /** Only those of jobs of this name. */
  jobName?: string;
  /** Only those that have been replayed, or only those that have not. */
  replayed?: boolean;
  /** Only those that failed longer ago than this. */
  olderThan?: Duration;
}

/** What became of {@link DeadLetters.replayAll}. */
export interface ReplaySummary {
  /** Jobs that were enqueued again. */
  replayed: number;
  /** Letters that could not be replayed, for instance because of a unique key. */
  errors: number;
}

const BATCH = 500;

/** Looks at jobs that died, and runs them again: `engine.dlq`. */
export class DeadLetters {
  readonly #store: () => Store;
  readonly #onEnqueued: (job: Job) => void;

  /** Made by the engine. */
  constructor(store: () => Store, onEnqueued: (job: Job) => void) {
    this.#store = store;
    this.#onEnqueued = onEnqueued;
  }

  /**
   * Reads one letter; `null` where there is none of this id.
   *
   * @throws {DispatchError} `invalid_id`
   */
  async get(id: string): Promise<DeadLetter | null> {
    const record = await this.#store().deadLetters.get(checkId("dlq", id));
    return record === null ? null : toDeadLetter(record);
  }

  /**
   * Lists letters, the latest failure first: an array with `nextCursor` beside it.
   *
   * @throws {DispatchError} `invalid_option`, `invalid_duration`
   */
  async list(filter: DeadLetterFilter & ListOptions = {}): Promise<List<DeadLetter>> {
    const query = { ...readFilter(filter), ...readPage(filter) };
    return toList(await this.#store().deadLetters.list(query), toDeadLetter);
  }

  /** Counts letters, replayed ones as well unless the filter says otherwise. */
  async count(filter: DeadLetterFilter = {}): Promise<number> {
    return await this.#store().deadLetters.count(readFilter(filter));
  }

  /**
   * Enqueues the job of a letter again, with everything it had, as a new job. In one transaction
   * with marking the letter: it happens once.
   *
   * @throws {DispatchError} `invalid_id`, `not_found`, `wrong_state` when it was replayed before,
   * `unique_conflict`
   */
  async replay(id: string): Promise<Job> {
    const job = toJob(await this.#store().deadLetters.replay(checkId("dlq", id), newId("job")));
    this.#onEnqueued(job);
    return job;
  }

  /** Replays every letter that matches and was not replayed yet. */
  async replayAll(filter: Omit<DeadLetterFilter, "replayed"> = {}): Promise<ReplaySummary> {
    const wanted = { ...readFilter(filter), replayed: false };
    const summary: ReplaySummary = { replayed: 0, errors: 0 };
    let cursor: string | undefined;
    do {
      const page = await this.#store().deadLetters.list({
        ...wanted,
        limit: BATCH,
        offset: 0,
        cursor,
      });
      for (const { id } of page.items) {
        try {
          await this.replay(id);
          summary.replayed++;
        } catch (thrown) {
          if (!(thrown instanceof DispatchError) || thrown.code === "stopped") throw thrown;
          summary.errors++;
        }
      }
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    return summary;
  }

  /** Removes every letter that matches; without a filter all of them. Returns how many. */
  async purge(filter: DeadLetterFilter = {}): Promise<number> {
    const wanted = readFilter(filter);
    let purged = 0;
    let batch: number;
    do {
      batch = await this.#store().deadLetters.purge(wanted, BATCH);
      purged += batch;
    } while (batch === BATCH);
    return purged;
  }
}

function readFilter({ queue, jobName, replayed, olderThan }: DeadLetterFilter): DeadLetterSelector {
  return {
    queue: queue === undefined ? undefined : checkQueue(queue),
    jobName: jobName === undefined ? undefined : checkJobName(jobName),
    replayed,
    olderThanMs: olderThan === undefined ? undefined : parseDuration(olderThan, "olderThan"),
  };
}
