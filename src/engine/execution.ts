import { DispatchError, type ErrorCode } from "../core/errors.ts";
import type { Clock } from "../core/clock.ts";
import type { JobRecord, Scope } from "../core/job.ts";
import { decodeJson, encodeJson, type JsonText } from "../core/json.ts";
import type { ClaimedJob, Lease } from "../core/lease.ts";
import { isRunName } from "../core/run.ts";
import type { AnyJobDefinition, JobContext } from "./definition.ts";
import type { Engine } from "./engine.ts";

/** Why an attempt is asked to stop. */
export type AbortCode = Extract<ErrorCode, "timeout" | "cancelled" | "lease_lost" | "shutdown">;

/** What a handler is told whose lease is gone. */
export const LOST = "Another worker owns the job now";
/** What it is told whose job was cancelled. */
export const CANCELLED = "The job was cancelled while it ran";

/** What an execution needs of the worker that runs it. */
export interface ExecutionHost {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly maxPayloadBytes: number;
  /** Stores progress under the job's lease. */
  report(lease: Lease, progress: JsonText): Promise<void>;
  /** Runs `work` in a transaction of the store that also completes the job. */
  complete(
    lease: Lease,
    work: (tx: unknown) => Promise<JsonText>,
  ): Promise<"settled" | "lost">;
  /** How long a handler has to let go once it was asked to stop. */
  readonly graceMs: number;
  /** Called when a handler has not let go in that time. */
  onIgnored(execution: Execution): void;
}

/** One attempt of one job: what its handler sees, and how it is asked to stop. */
export class Execution implements JobContext, ClaimedJob {
  readonly job: JobRecord;
  readonly lease: Lease;
  readonly definition: AnyJobDefinition;
  readonly startedAt: number;
  readonly #host: ExecutionHost;
  #payload: unknown;
  #decoded = false;
  /** Made when the handler first asks for its signal: most never do, and it costs as much as a job. */
  #controller: AbortController | null = null;
  #abortReason: DispatchError | null = null;
  #limitMs = Infinity;
  #cancelTimer: (() => void) | null = null;
  #scoped: Engine | null = null;
  #committed: JsonText | null = null;

  constructor({ job, lease }: ClaimedJob, definition: AnyJobDefinition, host: ExecutionHost) {
    this.job = job;
    this.lease = lease;
    this.definition = definition;
    this.#host = host;
    this.startedAt = host.clock.now();
    // That of a run is for all its slices together.
    if (job.timeoutMs > 0 && !isRunName(job.name)) this.limit(job.timeoutMs);
  }

  get id(): string {
    return this.job.id;
  }
  get name(): string {
    return this.job.name;
  }
  get queue(): string {
    return this.job.queue;
  }
  get priority(): number {
    return this.job.priority;
  }
  get attempt(): number {
    return this.job.attempt;
  }
  get retryCount(): number {
    return this.job.retryCount;
  }
  get maxRetries(): number {
    return this.job.maxRetries;
  }
  get tags(): readonly string[] {
    return this.job.tags;
  }
  get scope(): Scope {
    return this.job.scope;
  }
  get createdAt(): Date {
    return new Date(this.job.createdAt);
  }
  get engine(): Engine {
    return this.#scoped ?? this.#host.engine;
  }

  get payload(): unknown {
    if (!this.#decoded) {
      this.#payload = decodeJson(this.job.payload);
      this.#decoded = true;
    }
    return this.#payload;
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#abortReason !== null) this.#controller.abort(this.#abortReason);
    }
    return this.#controller.signal;
  }

  /** True once the handler could know of an abort: what it then returns may be half the work. */
  get listens(): boolean {
    return this.#controller !== null;
  }

  /** Why the attempt was asked to stop, if it was. */
  get abortReason(): DispatchError | null {
    return this.#abortReason;
  }

  async progress(value: unknown): Promise<void> {
    const text = encodeJson(value, `the progress of ${this.name}`, this.#host.maxPayloadBytes);
    await this.#host.report(this.lease, text);
  }

  /** What the job was completed with in a transaction of its handler, if it was. */
  get committed(): JsonText | null {
    return this.#committed;
  }

  async transaction<Tx, Result>(work: (tx: Tx) => Promise<Result>): Promise<Result> {
    if (this.#committed !== null) {
      throw new DispatchError("wrong_state", `Cannot complete ${this.id} twice`, {
        hint: "Do everything in one job.transaction(), and return when it has resolved.",
      });
    }
    let result: Result;
    let text: JsonText = "null";
    const status = await this.#host.complete(this.lease, async (tx) => {
      result = await work(tx as Tx);
      text = encodeJson(result, `the result of ${this.name}`, this.#host.maxPayloadBytes);
      return text;
    });
    if (status === "settled") {
      this.#committed = text;
      return result!;
    }
    this.abort("lease_lost", LOST);
    throw new DispatchError("lease_lost", `Cannot complete ${this.id}: its lease is lost`);
  }

  /** Asks the handler to stop. The first reason stands. */
  abort(code: AbortCode, message: string): void {
    if (this.#abortReason !== null) return;
    this.#abortReason = new DispatchError(code, message);
    this.#controller?.abort(this.#abortReason);
    this.#cancelTimer?.();
    this.#cancelTimer = this.#host.clock.after(
      this.#host.graceMs,
      () => this.#host.onIgnored(this),
    );
  }

  /** Limits the attempt, counted from its start. A shorter limit that was set before stands. */
  limit(ms: number): void {
    if (ms <= 0 || ms >= this.#limitMs || this.#abortReason !== null) return;
    this.#limitMs = ms;
    this.#cancelTimer?.();
    const left = this.startedAt + ms - this.#host.clock.now();
    this.#cancelTimer = this.#host.clock.after(
      left,
      () => this.abort("timeout", `The attempt took longer than its limit of ${ms} ms`),
    );
  }

  /** Jobs enqueued through {@link Execution.engine} belong to the scope of this one from now on. */
  inheritScope(): void {
    this.#scoped ??= this.#host.engine.withScope(this.scope);
  }

  /** The attempt is over: its timers end. */
  end(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = null;
  }
}

/** For middleware: limits an attempt. */
export function limitAttempt(job: JobContext, ms: number): void {
  (job as Execution).limit(ms);
}

/** For middleware: has further jobs belong to the same scope. */
export function inheritScope(job: JobContext): void {
  (job as Execution).inheritScope();
}
