import { messageOf } from "../core/errors.ts";
import type { ClaimedJob } from "../core/lease.ts";
import type { Logger } from "../core/logger.ts";
import type { JobStore } from "../store/store.ts";
import type { AnyJobDefinition } from "./definition.ts";

/** What a claimer asks with. */
export interface ClaimerOptions {
  readonly id: string;
  readonly jobs: JobStore;
  readonly queues: readonly string[];
  readonly definitions: ReadonlyMap<string, AnyJobDefinition>;
  readonly leaseMs: number;
  /** First wait of an idle worker, and the longest. */
  readonly pollMs: number;
  readonly maxPollMs: number;
  readonly logger: Logger;
}

/** Asks the store for jobs that this worker can run. An outage is no error: it brings no jobs. */
export class Claimer {
  readonly #options: ClaimerOptions;
  /** Counted apart: claims of suspects, which are rare, must not set the others out of turn. */
  readonly #rotations = { suspects: 0, others: 0 };
  #failures = 0;

  constructor(options: ClaimerOptions) {
    this.#options = options;
  }

  /** Claims at most `limit` jobs: suspects of a crash loop, or the others. */
  async claim(limit: number, suspects: boolean): Promise<ClaimedJob[]> {
    const { id: workerId, jobs, leaseMs, logger } = this.#options;
    const names = this.#names();
    if (names.length === 0) return [];
    try {
      const queues = this.#nextRotation(suspects ? "suspects" : "others");
      const claimed = await jobs.claim({ workerId, queues, names, limit, leaseMs, suspects });
      if (this.#failures > 0) logger.info("claims work again", { failures: this.#failures });
      this.#failures = 0;
      return claimed;
    } catch (thrown) {
      if (++this.#failures === 1) {
        logger.error("could not claim, trying again", { error: messageOf(thrown) });
      }
      return [];
    }
  }

  /** Milliseconds until to ask again, after so many polls in a row that brought nothing. */
  async wait(idlePolls: number): Promise<number> {
    const { pollMs, maxPollMs } = this.#options;
    const doublings = 2 ** Math.min(idlePolls, 20);
    const longest = Math.min(maxPollMs, pollMs * doublings);
    const due = await this.#nextDue() ?? longest;
    // What is due and was not claimed all the same may not be for long: asking at once would spin.
    return Math.max(1, Math.min(longest, due > 0 ? due : doublings));
  }

  /** Milliseconds until a job is due, `null` where none waits or the store does not say. */
  async #nextDue(): Promise<number | null> {
    try {
      return await this.#options.jobs.nextDue(this.#options.queues, this.#names());
    } catch {
      return null; // the next claim logs the outage
    }
  }

  /** Each claim starts at the next queue, so that none starves behind a full one. */
  #nextRotation(of: "suspects" | "others"): readonly string[] {
    const { queues } = this.#options;
    const first = this.#rotations[of]++ % queues.length;
    return first === 0 ? queues : [...queues.slice(first), ...queues.slice(0, first)];
  }

  /** Names that were registered up to now: registering is possible at any time. */
  #names(): string[] {
    return [...this.#options.definitions.keys()];
  }
}
