import type { DeadLetterRecord } from "../../core/dead_letter.ts";
import { notFound, uniqueConflict, wrongState } from "../../core/errors.ts";
import { type JobRecord, newRecord } from "../../core/job.ts";
import type { DeadLetterQuery, DeadLetterSelector, DeadLetterStore, Page } from "../store.ts";
import { copyJob } from "./entry.ts";
import { pageOf } from "./page.ts";
import type { LetterEntry, MemoryState } from "./state.ts";

/** The dead letters of a memory store. */
export class MemoryDeadLetters implements DeadLetterStore {
  readonly #state: MemoryState;

  constructor(state: MemoryState) {
    this.#state = state;
  }

  // deno-lint-ignore require-await -- async turns a throw into a rejection
  async get(id: string): Promise<DeadLetterRecord | null> {
    const entry = this.#state.letters.get(id);
    return entry === undefined ? null : copy(entry);
  }

  // deno-lint-ignore require-await
  async list(
    { limit, offset, cursor, ...filter }: DeadLetterQuery,
  ): Promise<Page<DeadLetterRecord>> {
    const page = { limit, offset, cursor };
    const { items, nextCursor } = pageOf(
      this.#state.letterLog,
      page,
      (entry) => this.#matches(entry, filter),
    );
    return { items: items.map(copy), nextCursor };
  }

  // deno-lint-ignore require-await
  async count(filter: DeadLetterSelector): Promise<number> {
    let count = 0;
    for (const entry of this.#state.letters.values()) if (this.#matches(entry, filter)) count++;
    return count;
  }

  // deno-lint-ignore require-await
  async replay(id: string, jobId: string): Promise<JobRecord> {
    const state = this.#state;
    const letter = state.letters.get(id)?.letter;
    if (letter === undefined) throw notFound("dead letter", id);
    if (letter.replayedAt !== null) {
      throw wrongState(
        "replay",
        "dead letter",
        id,
        "replayed already",
        "a letter that was not replayed",
      );
    }
    const holder = state.holder(letter.jobName, letter.uniqueKey);
    if (holder !== undefined) {
      throw uniqueConflict("replay", "dead letter", id, holder.job.id, letter.uniqueKey);
    }
    const now = state.clock.now();
    const job = { ...letter, name: letter.jobName, id: jobId, runAt: now, delayMs: 0 };
    const entry = state.add(newRecord(job, now), now);
    letter.replayedAt = now;
    state.wake(letter.queue);
    return copyJob(entry);
  }

  // deno-lint-ignore require-await
  async purge(filter: DeadLetterSelector, limit: number): Promise<number> {
    let purged = 0;
    for (const entry of this.#state.letters.values()) {
      if (purged >= limit) break;
      if (this.#matches(entry, filter) && this.#state.dropLetter(entry.letter.id)) purged++;
    }
    return purged;
  }

  #matches({ letter }: LetterEntry, filter: DeadLetterSelector): boolean {
    return (filter.queue === undefined || letter.queue === filter.queue) &&
      (filter.jobName === undefined || letter.jobName === filter.jobName) &&
      (filter.replayed === undefined || (letter.replayedAt !== null) === filter.replayed) &&
      (filter.olderThanMs === undefined ||
        letter.failedAt < this.#state.clock.now() - filter.olderThanMs);
  }
}

function copy({ letter }: LetterEntry): DeadLetterRecord {
  return { ...letter };
}
