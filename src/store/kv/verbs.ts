/** What is done to a single job by hand: cancel, retry, remove. Each checks that it is as it was read. */

import type { EpochMs } from "../../core/clock.ts";
import { uniqueConflict, wrongState } from "../../core/errors.ts";
import type { JobRecord } from "../../core/job.ts";
import type { Aftermath } from "./aftermath.ts";
import type { Database } from "./database.ts";
import type { Draft } from "./draft.ts";
import type { Letters } from "./letters.ts";
import { letterIdOf, type Moves } from "./moves.ts";
import type { StoredJob } from "./record.ts";
import type { Resume } from "./resume.ts";
import { waits } from "./settle.ts";
import type { Targets } from "./targets.ts";
import { decode } from "./value.ts";

export class Verbs {
  readonly #database: Database;
  readonly #letters: Letters;
  readonly #moves: Moves;
  readonly #targets: Targets;
  readonly #aftermath: Aftermath;
  readonly #resume: Resume;

  constructor(parts: {
    database: Database;
    letters: Letters;
    moves: Moves;
    targets: Targets;
    aftermath: Aftermath;
    resume: Resume;
  }) {
    this.#database = parts.database;
    this.#letters = parts.letters;
    this.#moves = parts.moves;
    this.#targets = parts.targets;
    this.#aftermath = parts.aftermath;
    this.#resume = parts.resume;
  }

  cancel(id: string): Promise<JobRecord> {
    return this.#targets.change(id, async (draft, target) => {
      const { record } = target.stored;
      if (record.completedAt !== null) {
        throw wrongState("cancel", "job", id, record.state, "a pending, retrying or running job");
      }
      if (target.run?.flow.record.compensating) {
        const allowed = "a run that does not undo its steps";
        throw wrongState("cancel", "job", id, "compensating", allowed);
      }
      return await this.#targets.cancelled(draft, target, record.failure, this.#database.now());
    });
  }

  retry(id: string): Promise<JobRecord> {
    return this.#targets.change(id, async (draft, target) => {
      const { record } = target.stored;
      const { state } = record;
      if (state !== "failed" && state !== "cancelled" && state !== "retrying") {
        throw wrongState("retry", "job", id, state, "a failed, cancelled or retrying job");
      }
      if (state !== "retrying") await this.holdKey(draft, "retry", "job", id, record);
      const now = this.#database.now();
      if (!await this.#resume.retry(draft, target, now)) return null;
      return await this.revived(draft, target.stored, now);
    });
  }

  async remove(id: string): Promise<void> {
    await this.#targets.change(id, async (draft, { stored, running, run }) => {
      const { state, completedAt } = stored.record;
      if (running !== null) {
        throw wrongState("remove", "job", id, "running", "a job that is not running");
      }
      if (run !== null) {
        if (completedAt === null) {
          throw wrongState("remove", "job", id, state, "a run that has ended");
        }
        if (!await this.#aftermath.isDone([id])) return null;
      }
      if (!await this.#targets.leave(draft, stored)) return null;
      await this.#moves.forget(draft, stored, run?.flow ?? null);
      return stored.record;
    });
  }

  /** A job that does not run is ready now, with all its retries; `null` as for `cancelled`. */
  async revived(draft: Draft, stored: StoredJob, now: EpochMs): Promise<JobRecord | null> {
    const fresh = { ...stored.record, retryCount: 0, crashes: 0, failure: null, result: null };
    const waiting = await this.ready(draft, stored, now, fresh);
    if (waiting === null) return null;
    const found = await this.#letters.find(letterIdOf(waiting));
    if (found !== null && found.letter.record.replayedAt === null) {
      draft.check(found.entry);
      this.#moves.markReplayed(draft, found.letter, now);
    }
    return waiting;
  }

  /** A job that does not run is ready now; `null` as for `cancelled`. */
  async ready(
    draft: Draft,
    stored: StoredJob,
    now: EpochMs,
    record = stored.record,
  ): Promise<JobRecord | null> {
    if (!await this.#targets.leave(draft, stored)) return null;
    const waiting = waits(record, now, now);
    this.#moves.wait(draft, waiting, stored, now);
    return waiting;
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
    draft.touch(this.#database.keys.fence("unique"));
    await this.#moves.takeKey(draft, { id: jobId, name, uniqueKey });
  }
}
