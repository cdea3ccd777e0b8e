/**
 * The worker: claims jobs, runs them, hands their outcomes to the settler.
 *
 *     claim ──▶ ahead ──▶ running ──▶ settler ──▶ store
 *       ▲   (look-ahead)  (slots)    (batches)
 *       └──── woken by a free slot, a hint of the store, or the poll timer
 *
 * Every job between claim and settlement is leased; the heartbeat extends it. Stopping goes: claims
 * end, what is ahead is released unspent, what runs gets `shutdownTimeout`, then its signal aborts,
 * then its lease is released with the attempt given back.
 */

import { type Clock, endsWithin } from "../core/clock.ts";
import { Fifo } from "../core/fifo.ts";
import { type ClaimedJob, isSameLease, type Lease } from "../core/lease.ts";
import type { Logger } from "../core/logger.ts";
import type { Outcome } from "../core/outcome.ts";
import { abortedOutcome, attempt, type AttemptRules } from "./attempt.ts";
import type { Claimer } from "./claimer.ts";
import type { AnyJobDefinition } from "./definition.ts";
import { CANCELLED, Execution, type ExecutionHost, LOST } from "./execution.ts";
import { LookAhead } from "./look_ahead.ts";
import { Running } from "./running.ts";
import type { Settler } from "./settler.ts";
import { Turns } from "./turns.ts";

/** How often jobs that wait ahead are looked after: when they turn out long, a peer may have a slot. */
const SHED_MS = 100;
/** What handlers have between the abort of a stop and the release of their leases. */
const STOP_GRACE_MS = 1000;

/** What a worker is made of. */
export interface WorkerOptions {
  readonly claimer: Claimer;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly concurrency: number;
  readonly queues: readonly string[];
  readonly definitions: ReadonlyMap<string, AnyJobDefinition>;
  readonly rules: AttemptRules;
  readonly settler: Settler;
  readonly host: Omit<ExecutionHost, "onIgnored" | "graceMs">;
  readonly leaseMs: number;
  readonly shutdownMs: number;
  readonly onStarted: (execution: Execution) => void;
  /** Called when a handler has completed its job in a transaction: there is nothing to settle. */
  readonly onCommitted: (claim: ClaimedJob, outcome: Outcome) => void;
}

export class Worker {
  readonly #options: WorkerOptions;
  readonly #host: ExecutionHost;
  readonly #lookAhead: LookAhead;
  readonly #turns = new Turns(() => this.#fill());
  readonly #ahead = new Fifo<ClaimedJob>();
  readonly #running = new Running();
  /** From its claim to its end: at most one suspect of a crash loop is here at a time. */
  #suspect: ClaimedJob | null = null;
  #claimingSuspect: Promise<ClaimedJob[]> | null = null;
  /** There may be more ready jobs than the last claim brought. */
  #mayHaveMore = true;
  /** The last claim brought all that it asked for. */
  #flowing = false;
  /** The claims that are under way, and how many jobs they may bring. */
  #claims: Promise<void> = Promise.resolve();
  #asked = 0;
  #idlePolls = 0;
  #stopping = false;
  #loop: Promise<void> = Promise.resolve();
  #wakeLoop: (() => void) | null = null;
  #cancelShed: (() => void) | null = null;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#lookAhead = new LookAhead(options.concurrency);
    this.#host = { ...options.host, graceMs: options.leaseMs, onIgnored: this.#giveUp.bind(this) };
  }

  /** Starts claiming. */
  start(): void {
    this.#loop = this.#claimLoop();
  }

  /** A hint that a queue may have ready jobs. */
  wake(queue?: string): void {
    if (queue !== undefined && !this.#options.queues.includes(queue)) return;
    this.#mayHaveMore = true;
    this.#idlePolls = 0;
    this.#wakeLoop?.();
  }

  /** The store has written an outcome: there may be room again. */
  settled(): void {
    this.#fill();
    this.#claimMore();
  }

  /** Every claim that has not been handed to the settler. */
  claims(): ClaimedJob[] {
    return [...this.#running, ...this.#ahead.items()];
  }

  /** A lease is gone: its handler is told, and nothing of it is written. */
  lost(lease: Lease): void {
    const isIt = (claim: ClaimedJob) => isSameLease(claim.lease, lease);
    this.#takeAhead(isIt);
    this.#running.abort(isIt, "lease_lost", LOST);
  }

  /** A job is to be cancelled: its handler is told, or is not called at all. */
  cancel(jobId: string): void {
    this.#endAhead(({ job }) => job.id === jobId, { kind: "cancel", reason: CANCELLED });
    this.#running.abort(({ id }) => id === jobId, "cancelled", CANCELLED);
  }

  /** Gives back what waits ahead, of one queue or of all. */
  release(queue?: string): void {
    this.#endAhead(({ job }) => queue === undefined || job.queue === queue);
  }

  /** Looks for a suspect of a crash loop. Suspects run one at a time, so that only one is blamed. */
  async claimSuspect(): Promise<void> {
    if (this.#suspect !== null || this.#claimingSuspect !== null || this.#stopping) return;
    this.#claimingSuspect = this.#options.claimer.claim(1, true);
    const [suspect] = await this.#claimingSuspect;
    this.#claimingSuspect = null;
    if (suspect === undefined) return;
    this.#suspect = suspect;
    this.#ahead.push(suspect);
    if (this.#stopping) this.release();
    else this.#fill();
  }

  /** Stops, as told at the top of this file; resolves when the last outcome is with the settler. */
  async stop(): Promise<void> {
    const { clock, logger, shutdownMs } = this.#options;
    this.#stopping = true;
    this.#wakeLoop?.();
    this.#cancelShed?.();
    this.release();
    const claims = Promise.all([this.#loop, this.#claimingSuspect]); // what they bring is released
    await Promise.all([
      endsWithin(clock, Math.max(STOP_GRACE_MS, shutdownMs), claims),
      this.#running.drain(clock, shutdownMs),
    ]);
    const jobs = this.#running.size;
    if (jobs === 0) return;
    logger.warn("handlers are still running at the end of shutdownTimeout", { jobs });
    this.#running.abort(() => true, "shutdown", "The worker is stopping");
    await this.#running.drain(clock, STOP_GRACE_MS);
    for (const execution of [...this.#running]) this.#giveUp(execution);
  }

  async #claimLoop(): Promise<void> {
    while (!this.#stopping) {
      const room = this.#room();
      if (room === 0) {
        await this.#pause();
        continue;
      }
      // A hint that comes during the claim sets it again. While claims come back full, the next is
      // under way before the jobs of this one run, but for a single slot, which keeps the order.
      this.#mayHaveMore = this.#flowing && this.#options.concurrency > 1;
      this.#claims = this.#claim(room, this.#claims);
      if (!this.#mayHaveMore) await this.#claims;
    }
    await this.#claims;
  }

  /** How many jobs to claim now. */
  #room(): number {
    if (!this.#mayHaveMore) return 0;
    const ahead = this.#ahead.size + this.#asked;
    return this.#lookAhead.room(this.#running.size, ahead, this.#options.settler.size);
  }

  /** Wakes the loop where it has something to claim: for each job that ends that is not the case. */
  #claimMore(): void {
    if (this.#wakeLoop !== null && this.#room() > 0) this.#wakeLoop();
  }

  /** Claims, and starts what came once the claim before has done so. */
  async #claim(room: number, before: Promise<void>): Promise<void> {
    this.#asked += room;
    const claimed = await this.#options.claimer.claim(room, false);
    await before;
    this.#asked -= room;
    this.#flowing = claimed.length >= room;
    if (this.#flowing) this.#mayHaveMore = true;
    if (claimed.length > 0) this.#idlePolls = 0;
    for (const job of claimed) this.#ahead.push(job);
    if (this.#stopping) return this.release();
    this.#fill();
    if (this.#ahead.size > 0) this.#armShed();
    this.#claimMore();
  }

  /** Starts what is ahead, as far as there are slots, and room for what comes of it. */
  #fill(): void {
    const { concurrency, settler } = this.#options;
    while (
      this.#running.size < concurrency && !settler.full && !this.#turns.taken && !this.#stopping
    ) {
      const claimed = this.#ahead.shift();
      if (claimed === undefined) return;
      this.#run(claimed);
    }
  }

  #run(claimed: ClaimedJob): void {
    const definition = this.#options.definitions.get(claimed.job.name)!;
    const execution = new Execution(claimed, definition, this.#host);
    this.#running.add(execution);
    this.#options.onStarted(execution);
    const since = Date.now();
    void attempt(execution, this.#options.rules)
      .then((outcome) => this.#ended(execution, since, outcome));
  }

  #ended(execution: Execution, since: number, outcome: Outcome): void {
    const now = Date.now();
    this.#lookAhead.note(since, now);
    if (!this.#running.has(execution)) return execution.end(); // given up, or given out again
    this.#turns.note(now);
    this.#end(execution, outcome);
  }

  /** Frees the slot at once and has the outcome written. */
  #end(execution: Execution, outcome: Outcome): void {
    execution.end();
    this.#running.delete(execution);
    const { committed } = execution; // whatever its handler did after that, the job is done
    if (committed === null) this.#options.settler.add(execution, outcome);
    else this.#options.onCommitted(execution, { kind: "complete", result: committed });
    if (this.#suspect?.job.id === execution.id) {
      this.#suspect = null;
      void this.claimSuspect();
    }
    this.#fill();
    this.#claimMore();
  }

  /** Waits for a hint, for room, or for the poll timer. */
  async #pause(): Promise<void> {
    const { claimer, clock } = this.#options;
    let polled = false;
    let cancelPoll: (() => void) | null = null;
    const woken = new Promise<void>((resolve) => (this.#wakeLoop = resolve));
    if (!this.#mayHaveMore) {
      cancelPoll = clock.after(await claimer.wait(this.#idlePolls), () => {
        polled = true;
        this.#wakeLoop?.();
      });
    }
    if (!this.#stopping) await woken;
    this.#wakeLoop = null;
    cancelPoll?.();
    if (polled) this.#idlePolls++;
    this.#mayHaveMore ||= polled;
  }

  #armShed(): void {
    this.#cancelShed ??= this.#options.clock.after(SHED_MS, () => {
      this.#cancelShed = null;
      if (this.#lookAhead.stalled()) this.release();
      else if (this.#ahead.size > 0) this.#armShed();
    });
  }

  /** Takes out of the line ahead whatever matches. */
  #takeAhead(matches: (claim: ClaimedJob) => boolean): ClaimedJob[] {
    const taken = this.#ahead.remove((claim) => !matches(claim));
    if (this.#suspect !== null && taken.includes(this.#suspect)) this.#suspect = null;
    return taken;
  }

  /** Ends what waits ahead and matches without running it: as a rule it is given back. */
  #endAhead(matches: (claim: ClaimedJob) => boolean, outcome?: Outcome): void {
    const end: Outcome = outcome ?? { kind: "release", delayMs: 0 };
    for (const claim of this.#takeAhead(matches)) this.#options.settler.add(claim, end);
  }

  /** Stops waiting for a handler that was asked to stop: its lease is settled without it. */
  #giveUp(execution: Execution): void {
    const { id: job, name, abortReason } = execution;
    if (abortReason === null || !this.#running.has(execution)) return;
    const { logger, rules } = this.#options;
    const reason = abortReason.code;
    logger.warn("a handler ignored its signal and was given up", { job, name, reason });
    this.#end(execution, abortedOutcome(execution, rules, abortReason));
  }
}
