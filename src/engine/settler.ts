import { type Clock, sleep } from "../core/clock.ts";
import { messageOf } from "../core/errors.ts";
import type { JobRecord } from "../core/job.ts";
import type { ClaimedJob } from "../core/lease.ts";
import type { Logger } from "../core/logger.ts";
import type { Outcome } from "../core/outcome.ts";
import { isRunName } from "../core/run.ts";
import type { Settlement, SettleStatus, Store } from "../store/store.ts";

/** An attempt that has ended, or a claim that is given back, on its way to the store. */
export interface Ended extends Settlement {
  readonly claim: ClaimedJob;
  /** It was sent before, and nobody knows whether it was written: only the answer may be lost. */
  uncertain: boolean;
  /** Refusals when it was sent alone. */
  refusals: number;
  /** Those of them between which others were accepted: they are its own fault. */
  faults: number;
  /** How many writes had been accepted at the latest refusal. */
  writesThen: number;
}

/** What became of it: `given up` is left to its lease, which runs out. */
export type Settled = SettleStatus | "given up";

const MAX_BATCH = 1000;
/** A second write is begun beside the first one where so many wait: a small one costs as much. */
const SECOND_BATCH = 750;
/** Where the store takes no outcomes, no more jobs are run than this. */
const MAX_SIZE = 1500;
/** After so many a settlement is given up: its lease runs out and a peer takes over. */
const MAX_FAULTS = 10;
/** Errors in a row until one settlement of a full batch is found to be the culprit: 500, 125, 31, 7, 1. */
const MAX_BISECTIONS = 5;

/**
 * Writes outcomes in batches: what ends while one is under way goes with the next, which is begun when
 * the first is answered, or when it is large and all goes well. An idle engine waits for nothing. A
 * write that fails is tried again: the work is done, and giving up would have it done twice. One that
 * spoils its batch is found by quartering, put aside, and from then on tried on its own, so that it
 * holds up nobody else.
 */
export class Settler {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #onSettled: (ended: Ended, status: Settled) => void;
  readonly #onRoom: () => void;
  #waiting: Ended[] = [];
  /** Batches whose writes are under way. */
  readonly #underWay = new Set<readonly Ended[]>();
  #writing = 0; // settlements in those
  /** Refused alone; the next try is not due yet. */
  readonly #aside = new Set<Ended>();
  /** Refused alone; the next try is due. */
  #due: Ended[] = [];
  /** How many write one batch after the other. */
  #writers = 0;
  #onFlushed: (() => void) | null = null;
  #limit = MAX_BATCH;
  /** Writes that were accepted. */
  #writes = 0;
  /** Errors since then. */
  #errors = 0;
  readonly #closed = new AbortController();

  constructor(options: {
    store: Store;
    clock: Clock;
    logger: Logger;
    /** Told of each, as soon as that is known. */
    onSettled: (ended: Ended, status: Settled) => void;
    /** Told after each write: there may be room for more. */
    onRoom: () => void;
  }) {
    this.#store = options.store;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#onSettled = options.onSettled;
    this.#onRoom = options.onRoom;
  }

  /** Attempts that ended and are not written yet. */
  get size(): number {
    return this.#waiting.length + this.#writing + this.#aside.size + this.#due.length;
  }

  /** True where the store has to take some first. */
  get full(): boolean {
    return this.size >= MAX_SIZE;
  }

  /** Those attempts: their leases are still to be extended. */
  claims(): ClaimedJob[] {
    const all = [[...this.#underWay].flat(), this.#waiting, [...this.#aside], this.#due];
    return all.flat().map((ended) => ended.claim);
  }

  add(claim: ClaimedJob, outcome: Outcome): void {
    this.#waiting.push({
      claim,
      lease: claim.lease,
      outcome,
      isRun: isRunName(claim.job.name),
      uncertain: false,
      refusals: 0,
      faults: 0,
      writesThen: 0,
    });
    if (this.#writers === 0 || (this.#writers === 1 && this.#isSecondDue())) void this.#flush();
  }

  /** Only while nothing fails: who looks for a culprit does so alone. */
  #isSecondDue(): boolean {
    return this.#waiting.length >= SECOND_BATCH && this.#errors === 0 && this.#limit === MAX_BATCH;
  }

  /** Resolves when everything that was added is written, or when the settler was closed. */
  async idle(): Promise<void> {
    while (this.size > 0 && !this.#closed.signal.aborted) {
      await new Promise<void>((resolve) => (this.#onFlushed = resolve));
    }
  }

  /** Ends all tries. Returns how many outcomes were not written. */
  close(): number {
    const left = this.size;
    this.#closed.abort();
    this.#waiting = [];
    this.#due = [];
    this.#aside.clear();
    this.#onFlushed?.();
    return left;
  }

  async #flush(): Promise<void> {
    this.#writers++;
    await undefined; // what ends in the same turn belongs in the first batch
    while (
      this.#writers === 1 ? this.#waiting.length > 0 || this.#due.length > 0 : this.#isSecondDue()
    ) {
      const alone = this.#due.shift();
      await this.#write(alone === undefined ? this.#waiting.splice(0, this.#limit) : [alone]);
    }
    this.#writers--;
    this.#onFlushed?.();
  }

  async #write(batch: readonly Ended[]): Promise<void> {
    this.#underWay.add(batch);
    this.#writing += batch.length;
    let statuses: SettleStatus[];
    try {
      statuses = await this.#store.jobs.settle(batch);
    } catch (thrown) {
      await this.#keep(batch, messageOf(thrown));
      return;
    }
    if (batch.some((ended, i) => ended.uncertain && statuses[i] === "lost")) {
      statuses = await this.#lookUp(batch, statuses);
    }
    this.#written(batch);
    this.#errors = 0;
    this.#writes++;
    this.#limit = Math.min(MAX_BATCH, this.#limit * 2);
    this.#onRoom();
    for (let i = 0; i < batch.length; i++) this.#onSettled(batch[i], statuses[i]);
  }

  /** The write of a batch is answered, whatever it says. */
  #written(batch: readonly Ended[]): void {
    this.#underWay.delete(batch);
    this.#writing -= batch.length;
  }

  /** Tells those that an earlier try has written from those whose lease was lost. */
  async #lookUp(batch: readonly Ended[], statuses: SettleStatus[]): Promise<SettleStatus[]> {
    try {
      const jobs = await this.#store.jobs.get(batch.map(({ claim }) => claim.job.id));
      return batch.map(({ claim, outcome, uncertain }, i) =>
        uncertain && statuses[i] === "lost" && isEndOf(jobs[i], claim.job, outcome)
          ? "settled"
          : statuses[i]
      );
    } catch {
      return statuses; // the store is gone again: what it said stands
    }
  }

  /** Has a batch that could not be written tried again. */
  async #keep(batch: readonly Ended[], error: string): Promise<void> {
    if (++this.#errors === 1) {
      this.#logger.warn("could not settle, trying again", { jobs: batch.length, error });
    }
    const refused = await this.#storeAnswers();
    this.#written(batch);
    if (this.#closed.signal.aborted) return;
    for (const ended of batch) ended.uncertain = true;
    if (refused && batch.length === 1) return await this.#putAside(batch[0], error);
    this.#waiting.unshift(...batch);
    if (refused) this.#limit = Math.max(1, batch.length >> 2);
    else await this.#sleep(this.#errors);
  }

  async #putAside(ended: Ended, error: string): Promise<void> {
    if (this.#writes > ended.writesThen) ended.faults++;
    ended.writesThen = this.#writes;
    if (ended.faults > MAX_FAULTS) {
      this.#logger.error("gave up settling", { job: ended.claim.job.id, error });
      this.#onRoom();
      return this.#onSettled(ended, "given up");
    }
    this.#aside.add(ended);
    void this.#sleep(++ended.refusals).then(() => {
      if (!this.#aside.delete(ended)) return; // closed meanwhile
      this.#due.push(ended);
      if (this.#writers === 0) void this.#flush();
    });
    // One after the other is refused, nothing accepted: that is no poison, the store takes no writes.
    if (this.#errors > MAX_BISECTIONS) await this.#sleep(this.#errors - MAX_BISECTIONS);
  }

  #sleep(errors: number): Promise<void> {
    const delay = Math.min(5000, 50 * 2 ** Math.min(errors, 10));
    return sleep(this.#clock, delay * (0.5 + Math.random() / 2), this.#closed.signal);
  }

  /** Tells a refused write from an outage, which is no fault of the batch. */
  #storeAnswers(): Promise<boolean> {
    return this.#store.ping().then(() => true, () => false);
  }
}

/**
 * Whether a job is as this outcome of this claim left it. It may have been claimed again since, by
 * this worker as well, and as the same attempt where a store that fell had forgotten the first claim.
 */
function isEndOf(job: JobRecord | null, claimed: JobRecord, outcome: Outcome): boolean {
  if (job?.startedAt !== claimed.startedAt || job.workerId !== claimed.workerId) return false;
  switch (outcome.kind) {
    case "complete":
      return job.state === "completed";
    case "retry":
      return job.state === "retrying";
    case "dead":
      return job.state === "failed";
    case "cancel":
      return job.state === "cancelled";
    case "release":
    case "park":
    case "compensate":
      return false; // it has left no trace, and nobody is told of it
  }
}
