import { type Clock, sleep } from "../core/clock.ts";
import { messageOf } from "../core/errors.ts";
import type { ClaimedJob } from "../core/lease.ts";
import type { Logger } from "../core/logger.ts";
import type { Outcome } from "../core/outcome.ts";
import type { Store } from "../store/store.ts";

/** An attempt that has ended, or a claim that is given back, on its way to the store. */
export interface Ended {
  readonly claim: ClaimedJob;
  readonly outcome: Outcome;
  refusals: number;
}

/** What became of it: `given up` is left to its lease, which runs out. */
export type Settled = "settled" | "lost" | "given up";

const MAX_BATCH = 500;
/** After so many refusals on its own a settlement is given up: the lease runs out and a peer takes over. */
const MAX_REFUSALS = 10;

/**
 * Writes outcomes in batches: one write is under way at a time, and what ends meanwhile goes with
 * the next. An idle engine waits for nothing. A write that fails is tried again: the work is done,
 * and giving up would have it done twice.
 */
export class Settler {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onSettled: (ended: Ended, status: Settled) => void;
  #waiting: Ended[] = [];
  #underWay: Ended[] = [];
  #flushing: Promise<void> | null = null;
  #limit = MAX_BATCH;
  #errors = 0;
  readonly #closed = new AbortController();

  constructor(options: {
    store: Store;
    clock: Clock;
    logger: Logger;
    onSettled: (ended: Ended, status: Settled) => void;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#onSettled = options.onSettled;
  }

  /** Attempts that ended and are not written yet. */
  get size(): number {
    return this.#waiting.length + this.#underWay.length;
  }

  /** Those attempts: their leases are still to be extended. */
  claims(): ClaimedJob[] {
    return [...this.#underWay, ...this.#waiting].map((ended) => ended.claim);
  }

  add(claim: ClaimedJob, outcome: Outcome): void {
    this.#waiting.push({ claim, outcome, refusals: 0 });
    this.#flushing ??= this.#flush();
  }

  /** Resolves when everything that was added is written, or when the settler was closed. */
  async idle(): Promise<void> {
    while (this.#flushing !== null) await this.#flushing;
  }

  /** Ends all tries. Returns how many outcomes were not written. */
  close(): number {
    const left = this.size;
    this.#closed.abort();
    this.#waiting = [];
    return left;
  }

  async #flush(): Promise<void> {
    await undefined; // what ends in the same turn belongs in the first batch
    while (this.#waiting.length > 0) {
      const batch = this.#underWay = this.#waiting.splice(0, this.#limit);
      try {
        const statuses = await this.#store.jobs.settle(
          batch.map(({ claim, outcome }) => ({ lease: claim.lease, outcome })),
        );
        this.#underWay = [];
        this.#errors = 0;
        this.#limit = Math.min(MAX_BATCH, this.#limit * 2);
        for (let i = 0; i < batch.length; i++) this.#onSettled(batch[i], statuses[i]);
      } catch (thrown) {
        await this.#keep(batch, thrown);
      }
    }
    this.#flushing = null;
  }

  /** Puts a batch that could not be written behind the others, and waits a little. */
  async #keep(batch: readonly Ended[], thrown: unknown): Promise<void> {
    const error = messageOf(thrown);
    if (++this.#errors === 1) {
      this.#logger.warn("could not settle, trying again", { jobs: batch.length, error });
    }
    const refused = await this.#storeAnswers();
    // A batch that one member spoils shrinks to single writes, which show the culprit.
    if (refused) this.#limit = Math.max(1, batch.length >> 2);
    this.#underWay = [];
    if (refused && batch.length === 1 && ++batch[0].refusals >= MAX_REFUSALS) {
      this.#logger.error("gave up settling", { job: batch[0].claim.job.id, error });
      this.#onSettled(batch[0], "given up");
    } else if (!this.#closed.signal.aborted) this.#waiting.push(...batch);
    const delay = Math.min(5000, 50 * 2 ** Math.min(this.#errors, 10));
    await sleep(this.#clock, delay * (0.5 + Math.random() / 2), this.#closed.signal);
  }

  /** Tells a refused write from an outage, which is no fault of the batch. */
  #storeAnswers(): Promise<boolean> {
    return this.#store.ping().then(() => true, () => false);
  }
}
