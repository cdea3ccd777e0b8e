import { type Clock, sleep } from "../core/clock.ts";
import { DispatchError, messageOf, notFound } from "../core/errors.ts";
import type { JobRecord } from "../core/job.ts";
import { decodeJson } from "../core/json.ts";
import type { Logger } from "../core/logger.ts";
import { withPrefix } from "../core/id.ts";
import { isRunName, parseRunName } from "../core/run.ts";
import type { JobStore } from "../store/store.ts";

const READ_BATCH = 500;

interface Waiter {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: DispatchError) => void;
}

/** What results are made of. */
export interface ResultsOptions {
  readonly jobs: JobStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly pollMs: number;
  readonly maxPollMs: number;
}

/**
 * Waits for jobs to end. Jobs of this process are told directly; for those of others one loop reads
 * all that are waited for, however many waiters there are.
 */
export class Results {
  readonly #options: ResultsOptions;
  readonly #waiters = new Map<string, Set<Waiter>>();
  /** Of those, the ones that were never read. */
  readonly #fresh = new Set<string>();
  #nudge = new AbortController();
  #stopped = false;
  #polling = false;
  #failing = false;

  constructor(options: ResultsOptions) {
    this.#options = options;
  }

  /** True where nobody waits for any job. */
  get empty(): boolean {
    return this.#waiters.size === 0;
  }

  /**
   * The result of a job, once it has completed.
   *
   * @throws {DispatchError} `job_failed`, `cancelled`, `not_found`, `result_timeout`, `stopped`
   */
  wait(id: string, timeoutMs: number | null): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#stopped) return reject(stopped(id));
      let cancelTimer = () => {};
      const waiter: Waiter = {
        resolve: (result) => (cancelTimer(), resolve(result)),
        reject: (error) => (cancelTimer(), reject(error)),
      };
      if (timeoutMs !== null) {
        cancelTimer = this.#options.clock.after(timeoutMs, () => {
          this.#forget(id, waiter);
          reject(
            new DispatchError(
              "result_timeout",
              `Cannot wait longer for ${id}: ${timeoutMs} ms are over`,
            ),
          );
        });
      }
      const waiters = this.#waiters.get(id) ?? new Set();
      this.#waiters.set(id, waiters.add(waiter));
      this.#fresh.add(id);
      if (this.#polling) this.#nudge.abort();
      else void this.#poll();
    });
  }

  /** Tells the waiters of a job that has ended; does nothing for one that has not. */
  notify(job: JobRecord): void {
    const waiters = this.#waiters.get(job.id);
    if (waiters === undefined) return;
    if (job.state === "completed") {
      for (const waiter of waiters) waiter.resolve(decodeJson(job.result ?? "null"));
    } else if (job.state === "failed" || job.state === "cancelled") {
      for (const waiter of waiters) waiter.reject(errorOf(job));
    } else return;
    this.#waiters.delete(job.id);
  }

  /** Rejects everyone who still waits. */
  stop(): void {
    this.#stopped = true;
    this.#nudge.abort();
    for (const [id, waiters] of this.#waiters) {
      for (const waiter of waiters) waiter.reject(stopped(id));
    }
    this.#waiters.clear();
  }

  /** Reads newcomers at once, and all that is waited for at intervals that grow. */
  async #poll(): Promise<void> {
    const { clock, pollMs, maxPollMs } = this.#options;
    this.#polling = true;
    let delay = pollMs;
    let nextRound = clock.now() + delay;
    await undefined; // callers of the same turn share the first read
    while (this.#waiters.size > 0 && !this.#stopped) {
      const isRound = clock.now() >= nextRound;
      const ids = isRound ? [...this.#waiters.keys()] : [...this.#fresh];
      delay = isRound ? Math.min(maxPollMs, delay * 2) : pollMs;
      nextRound = isRound ? clock.now() + delay : Math.min(nextRound, clock.now() + delay);
      this.#fresh.clear();
      await this.#read(ids);
      if (this.#fresh.size > 0) continue;
      this.#nudge = new AbortController();
      await sleep(clock, nextRound - clock.now(), this.#nudge.signal);
    }
    this.#polling = false;
  }

  async #read(ids: string[]): Promise<void> {
    try {
      for (let at = 0; at < ids.length; at += READ_BATCH) {
        const batch = ids.slice(at, at + READ_BATCH);
        const jobs = await this.#options.jobs.get(batch);
        batch.forEach((id, i) => {
          const job = jobs[i];
          if (job !== null) this.notify(job);
          else this.#rejectAll(id, notFound("job", id)); // also one that was pruned meanwhile
        });
      }
      this.#failing = false;
    } catch (thrown) {
      if (!this.#failing) {
        this.#options.logger.error("could not read results", { error: messageOf(thrown) });
      }
      this.#failing = true;
    }
  }

  #rejectAll(id: string, error: DispatchError): void {
    for (const waiter of this.#waiters.get(id) ?? []) waiter.reject(error);
    this.#waiters.delete(id);
  }

  #forget(id: string, waiter: Waiter): void {
    const waiters = this.#waiters.get(id);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.#waiters.delete(id);
  }
}

function errorOf(job: JobRecord): DispatchError {
  const { state, failure } = job;
  const isRun = isRunName(job.name);
  const id = isRun ? withPrefix("run", job.id) : job.id;
  const name = isRun ? parseRunName(job.name).name : job.name;
  const reason = failure?.message ?? "no reason was given";
  if (state === "cancelled") {
    return new DispatchError("cancelled", `${name} ${id} was cancelled: ${reason}`);
  }
  return new DispatchError(
    isRun ? "run_failed" : "job_failed",
    `${name} ${id} failed (${failure?.code ?? "unknown"}): ${reason}`,
    {
      cause: failure,
    },
  );
}

function stopped(id: string): DispatchError {
  return new DispatchError("stopped", `Cannot wait for ${id}: the engine has stopped`);
}
