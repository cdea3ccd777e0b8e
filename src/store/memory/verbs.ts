import { notFound, uniqueConflict, wrongState } from "../../core/errors.ts";
import { withPrefix } from "../../core/id.ts";
import type { JobRecord } from "../../core/job.ts";
import { isRunName } from "../../core/run.ts";
import type { EpochMs } from "../../core/clock.ts";
import type { JobQuery, JobStore, Page } from "../store.ts";
import { copyJob, type Entry, isFinished, isWaiting } from "./entry.ts";
import { pageOf } from "./page.ts";
import type { MemoryState } from "./state.ts";

/** The jobs of a memory store, as those who look after them know them. */
export class MemoryVerbs implements Pick<JobStore, "cancel" | "retry" | "remove" | "list"> {
  readonly #state: MemoryState;

  constructor(state: MemoryState) {
    this.#state = state;
  }

  // deno-lint-ignore require-await -- async turns a throw into a rejection
  async cancel(id: string): Promise<JobRecord> {
    const entry = this.#find(id);
    const { job } = entry;
    if (isFinished(job.state)) {
      throw wrongState("cancel", "job", id, job.state, "a pending, retrying or running job");
    }
    if (this.#state.runs?.find(id)?.compensating) {
      throw wrongState("cancel", "job", id, "compensating", "a run that does not undo its steps");
    }
    const now = this.#state.clock.now();
    if (isWaiting(job.state)) this.#state.finish(entry, "cancelled", now);
    else {
      job.cancelRequested = true;
      job.updatedAt = now;
    }
    return copyJob(entry);
  }

  // deno-lint-ignore require-await
  async retry(id: string): Promise<JobRecord> {
    const entry = this.#find(id);
    const { job } = entry;
    if (job.state !== "failed" && job.state !== "cancelled" && job.state !== "retrying") {
      throw wrongState("retry", "job", id, job.state, "a failed, cancelled or retrying job");
    }
    const holder = this.#state.holder(job.name, job.uniqueKey);
    if (holder !== undefined && holder !== entry) {
      throw uniqueConflict("retry", "job", id, holder.job.id, job.uniqueKey);
    }
    const now = this.#state.clock.now();
    this.#state.runs?.resume(entry, now);
    revive(this.#state, entry, now);
    return copyJob(entry);
  }

  // deno-lint-ignore require-await
  async remove(id: string): Promise<void> {
    const entry = this.#find(id);
    if (entry.job.state === "running") {
      throw wrongState("remove", "job", id, "running", "a job that is not running");
    }
    if (isRunName(entry.job.name) && !isFinished(entry.job.state)) {
      throw wrongState("remove", "job", id, entry.job.state, "a run that has ended");
    }
    this.#state.drop(entry);
  }

  // deno-lint-ignore require-await
  async list({ state, queue, name, ...page }: JobQuery): Promise<Page<JobRecord>> {
    const { items, nextCursor } = pageOf(
      this.#state.jobLog,
      page,
      ({ job }) =>
        (state === undefined || job.state === state) &&
        (queue === undefined || job.queue === queue) &&
        (name === undefined || job.name === name),
    );
    return { items: items.map(copyJob), nextCursor };
  }

  #find(id: string): Entry {
    const entry = this.#state.jobs.get(id);
    if (entry === undefined) throw notFound("job", id);
    return entry;
  }
}

/** A job that had ended, or waits, is ready now, with all its retries. */
export function revive(state: MemoryState, entry: Entry, now: EpochMs): void {
  const { job } = entry;
  job.retryCount = 0;
  job.crashes = 0;
  job.failure = null;
  job.result = null;
  state.wait(entry, now, now);
  const letter = state.letters.get(withPrefix("dlq", job.id))?.letter;
  if (letter !== undefined) letter.replayedAt ??= now;
}
