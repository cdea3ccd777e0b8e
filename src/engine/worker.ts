/**
 * The worker: claims jobs, runs them, hands their outcomes to the settler.
 *
 *     claim ──▶ ahead ──▶ running ──▶ settler ──▶ store
 *       ▲   (look-ahead)  (slots)    (batches)
 *       └──── woken by a free slot, a hint of the store, or the poll timer
 *
 * Every job between claim and settlement is leased, and the heartbeat extends it. Stopping goes:
 * claims end, what is ahead is released unspent, what is running gets `shutdownTimeout`, then its
 * signal aborts, then its lease is released with the attempt given back.
 */

import { type Clock, endsWithin, yieldToEventLoop } from "../core/clock.ts";
import { Fifo } from "../core/fifo.ts";
import { type ClaimedJob, isSameLease, type Lease } from "../core/lease.ts";
import type { Logger } from "../core/logger.ts";
import type { Outcome } from "../core/outcome.ts";
import { abortedOutcome, attempt, type AttemptRules } from "./attempt.ts";
import type { Claimer } from "./claimer.ts";
import type { AnyJobDefinition } from "./definition.ts";
import { Execution, type ExecutionHost } from "./execution.ts";
import { LookAhead } from "./look_ahead.ts";
import type { Settler } from "./settler.ts";

/** After so long in microtasks the event loop gets a turn, whatever is ready. */
const TURN_MS = 8;
/** How often jobs that wait ahead are looked after. */
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
  readonly #lookAhead = new LookAhead();
  readonly #ahead = new Fifo<ClaimedJob>();
  readonly #running = new Set<Execution>();
  /** From its claim to its end: at most one suspect of a crash loop is here at a time. */
  #suspect: ClaimedJob | null = null;
  #claimingSuspect: Promise<ClaimedJob[]> | null = null;
  /** There may be more ready jobs than the last claim brought. */
  #mayHaveMore = true;
  #idlePolls = 0;
  #stopping = false;
  #loop: Promise<void> = Promise.resolve();
  #wakeLoop: (() => void) | null = null;
  #drained: (() => void) | null = null;
  #cancelShed: (() => void) | null = null;
  #lastTurn = Date.now();
  #yielding = false;

  constructor(options: WorkerOptions) {
    this.#options = options;
    const onIgnored = (execution: Execution) => this.#giveUp(execution);
    this.#host = { ...options.host, graceMs: options.leaseMs, onIgnored };
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

  /** The store has written outcomes: there may be room again. */
  settled(): void {
    if (this.#mayHaveMore) this.#wakeLoop?.();
  }

  /** Every claim that has not been handed to the settler. */
  claims(): ClaimedJob[] {
    return [...this.#running, ...this.#ahead.items()];
  }

  /** A lease is gone: its handler is told, and nothing of it is written. */
  lost(lease: Lease): void {
    this.#takeAhead((claim) => isSameLease(claim.lease, lease));
    for (const execution of this.#running) {
      if (isSameLease(execution.lease, lease)) {
        execution.abort("lease_lost", "Another worker owns the job now");
      }
    }
  }

  /** A job is to be cancelled: its handler is told, or is not called at all. */
  cancel(jobId: string): void {
    const reason = "The job was cancelled while it ran";
    for (const claim of this.#takeAhead(({ job }) => job.id === jobId)) {
      this.#options.settler.add(claim, { kind: "cancel", reason });
    }
    for (const execution of this.#running) {
      if (execution.id === jobId) execution.abort("cancelled", reason);
    }
  }

  /** Gives back what waits ahead, of one queue or of all. */
  release(queue?: string): void {
    for (const claim of this.#takeAhead(({ job }) => queue === undefined || job.queue === queue)) {
      this.#options.settler.add(claim, { kind: "release", delayMs: 0 });
    }
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
    const { clock, shutdownMs } = this.#options;
    this.#stopping = true;
    this.#wakeLoop?.();
    this.#cancelShed?.();
    this.release();
    const claims = Promise.all([this.#loop, this.#claimingSuspect]); // what they bring is released
    await Promise.all([
      endsWithin(clock, Math.max(STOP_GRACE_MS, shutdownMs), claims),
      this.#drain(shutdownMs),
    ]);
    if (this.#running.size === 0) return;
    this.#options.logger.warn("handlers are still running at the end of shutdownTimeout", {
      jobs: this.#running.size,
    });
    for (const execution of this.#running) execution.abort("shutdown", "The worker is stopping");
    await this.#drain(STOP_GRACE_MS);
    for (const execution of [...this.#running]) this.#giveUp(execution);
  }

  async #claimLoop(): Promise<void> {
    while (!this.#stopping) {
      const room = this.#room();
      if (!this.#mayHaveMore || room === 0) {
        await this.#pause();
        continue;
      }
      this.#mayHaveMore = false; // a hint that comes during the claim sets it again
      const claimed = await this.#options.claimer.claim(room, false);
      if (claimed.length > 0) this.#idlePolls = 0;
      if (claimed.length >= room) this.#mayHaveMore = true;
      for (const job of claimed) this.#ahead.push(job);
      if (this.#stopping) return this.release();
      // The next claim is on its way before these run. Two turns: clients send in one of their own.
      if (this.#mayHaveMore) void this.#yield(2);
      else this.#fill();
      if (this.#ahead.size > 0) this.#armShed();
    }
  }

  /** How many jobs to claim now. */
  #room(): number {
    return this.#lookAhead.room({
      slots: this.#options.concurrency,
      running: this.#running.size,
      ahead: this.#ahead.size,
      unsettled: this.#options.settler.size,
    });
  }

  /** Starts what is ahead, as far as there are slots. */
  #fill(): void {
    while (this.#running.size < this.#options.concurrency && !this.#yielding && !this.#stopping) {
      const claimed = this.#ahead.shift();
      if (claimed === undefined) return;
      void this.#run(claimed);
    }
  }

  async #run(claimed: ClaimedJob): Promise<void> {
    const execution = new Execution(claimed, this.#host);
    this.#running.add(execution);
    this.#options.onStarted(execution);
    const since = Date.now();
    const definition = this.#options.definitions.get(execution.name)!;
    const outcome = await attempt(execution, definition, this.#options.rules);
    const now = Date.now();
    this.#lookAhead.note(since, now);
    if (!this.#running.has(execution)) return; // it was given up meanwhile
    if (Math.abs(now - this.#lastTurn) > TURN_MS) void this.#yield(); // clocks also step back
    this.#end(execution, outcome);
  }

  /** Frees the slot at once and has the outcome written. */
  #end(execution: Execution, outcome: Outcome): void {
    execution.end();
    this.#running.delete(execution);
    const { committed } = execution; // whatever its handler did after that, the job is done
    if (committed !== null) {
      this.#options.onCommitted(execution, { kind: "complete", result: committed });
    } else if (execution.abortReason?.code !== "lease_lost") {
      this.#options.settler.add(execution, outcome);
    }
    if (this.#suspect?.job.id === execution.id) {
      this.#suspect = null;
      void this.claimSuspect();
    }
    this.#fill();
    if (this.#running.size === 0) this.#drained?.();
    if (this.#mayHaveMore) this.#wakeLoop?.();
  }

  /** Starts nothing until timers and I/O had their turn: heartbeats and the host's requests. */
  async #yield(turns = 1): Promise<void> {
    if (this.#yielding) return;
    this.#yielding = true;
    for (let turn = 0; turn < turns; turn++) await yieldToEventLoop();
    this.#yielding = false;
    this.#lastTurn = Date.now();
    this.#fill();
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
    if (!polled) return;
    this.#mayHaveMore = true;
    this.#idlePolls++;
  }

  /** Looks after what waits ahead: when jobs turn out long, a peer may have a slot for them. */
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

  /** Stops waiting for a handler that was asked to stop: its lease is settled without it. */
  #giveUp(execution: Execution): void {
    const reason = execution.abortReason;
    if (reason === null || !this.#running.has(execution)) return;
    this.#options.logger.warn("a handler ignored its signal and was given up", {
      job: execution.id,
      name: execution.name,
      reason: reason.code,
    });
    const definition = this.#options.definitions.get(execution.name)!;
    const backoff = definition.backoff ?? this.#options.rules.backoff;
    this.#end(execution, abortedOutcome(execution, reason, backoff));
  }

  /** Resolves when no handler runs, or after `ms`. */
  async #drain(ms: number): Promise<void> {
    if (this.#running.size === 0) return;
    const drained = new Promise<void>((resolve) => (this.#drained = resolve));
    await endsWithin(this.#options.clock, ms, drained);
    this.#drained = null;
  }
}
