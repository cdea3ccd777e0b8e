/** What is done to a single job by hand: cancel, retry, remove. Each checks that it is as it was read. */

import { notFound, uniqueConflict, wrongState } from "../../core/errors.ts";
import type { JobRecord } from "../../core/job.ts";
import type { Database } from "./database.ts";
import { Draft } from "./draft.ts";
import type { Letters } from "./letters.ts";
import { letterIdOf, type Moves } from "./moves.ts";
import type { Found, Reader } from "./reader.ts";
import { leaveLine } from "./line.ts";
import { claims, type StoredJob } from "./record.ts";
import { ended, waits } from "./settle.ts";
import { decode } from "./value.ts";

export class Verbs {
  readonly #database: Database;
  readonly #letters: Letters;
  readonly #moves: Moves;
  readonly #reader: Reader;

  constructor(parts: {
    database: Database;
    letters: Letters;
    moves: Moves;
    reader: Reader;
  }) {
    this.#database = parts.database;
    this.#letters = parts.letters;
    this.#moves = parts.moves;
    this.#reader = parts.reader;
  }

  cancel(id: string): Promise<JobRecord> {
    return this.#change(id, async (draft, { stored, running }) => {
      const { record } = stored;
      const now = this.#database.now();
      if (record.completedAt !== null) {
        throw wrongState("cancel", "job", id, record.state, "a pending, retrying or running job");
      }
      if (running === null) {
        const cancelled = ended(record, "cancelled", record.failure, now);
        if (!await this.#leave(draft, stored)) return null;
        await this.#moves.finish(draft, cancelled, stored);
        return cancelled;
      }
      const { keys } = this.#database;
      const asked = {
        ...running.claim.record,
        token: running.token,
        cancelRequested: true,
        updatedAt: now,
      };
      const { value } = claims.pack(draft, keys, id, asked, running.claim);
      draft.set(keys.claim(id), value);
      draft.set(keys.fence("leases"));
      return { ...record, cancelRequested: true, updatedAt: now };
    });
  }

  retry(id: string): Promise<JobRecord> {
    return this.#change(id, async (draft, { stored }) => {
      const { record } = stored;
      const { state } = record;
      if (state !== "failed" && state !== "cancelled" && state !== "retrying") {
        throw wrongState("retry", "job", id, state, "a failed, cancelled or retrying job");
      }
      if (state !== "retrying") await this.holdKey(draft, "retry", "job", id, record);
      const now = this.#database.now();
      const fresh = { ...record, retryCount: 0, crashes: 0, failure: null };
      const waiting = waits(fresh, now, now);
      if (!await this.#leave(draft, stored)) return null;
      this.#moves.wait(draft, waiting, stored, now);
      const found = await this.#letters.find(letterIdOf(record));
      if (found !== null && found.letter.record.replayedAt === null) {
        draft.check(found.entry);
        this.#moves.markReplayed(draft, found.letter, now);
      }
      return waiting;
    });
  }

  async remove(id: string): Promise<void> {
    await this.#change(id, async (draft, { stored, running }) => {
      if (running !== null) {
        throw wrongState("remove", "job", id, "running", "a job that is not running");
      }
      if (!await this.#leave(draft, stored)) return null;
      await this.#moves.forget(draft, stored);
      return stored.record;
    });
  }

  /** A job that comes back takes its unique key, if nobody has it meanwhile. */
  async holdKey(
    draft: Draft,
    verb: string,
    what: string,
    id: string,
    { id: jobId, name, uniqueKey }: Pick<JobRecord, "id" | "name" | "uniqueKey">,
  ): Promise<void> {
    if (uniqueKey === null) return;
    const entry = await this.#database.get(await this.#moves.keyOf(name, uniqueKey));
    if (entry.value !== null) {
      throw uniqueConflict(verb, what, id, decode<string>(entry.value), uniqueKey);
    }
    draft.check(entry);
    draft.set(this.#database.keys.fence("unique"));
    await this.#moves.takeKey(draft, { id: jobId, name, uniqueKey });
  }

  /** Reads, builds and commits until nobody was faster; `build` returns `null` where it finds that. */
  async #change(
    id: string,
    build: (draft: Draft, found: Found) => Promise<JobRecord | null>,
  ): Promise<JobRecord> {
    return await this.#database.insist(async () => {
      const [found] = await this.#reader.find([id]);
      if (found === null) throw notFound("job", id);
      const draft = new Draft();
      for (const entry of found.entries) draft.check(entry);
      const record = await build(draft, found);
      if (record === null) return null;
      if (await this.#database.commit(draft, record.updatedAt) === null) return null;
      return { ...record };
    });
  }

  /** A job that does not run is taken from where it is; false where it is in no line any more. */
  async #leave(draft: Draft, stored: StoredJob): Promise<boolean> {
    this.#moves.leave(draft, stored);
    if (stored.record.completedAt === null) {
      return await leaveLine(this.#database, draft, stored.record);
    }
    draft.set(this.#database.keys.fence("finished")); // under the eyes of retention
    return true;
  }
}
