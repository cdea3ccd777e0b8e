/** Single jobs that something is done to, which may be runs. A commit checks that each is as it was read. */

import type { EpochMs } from "../../core/clock.ts";
import { notFound } from "../../core/errors.ts";
import type { JobRecord } from "../../core/job.ts";
import type { Failure } from "../../core/outcome.ts";
import { isRunName } from "../../core/run.ts";
import type { Database } from "./database.ts";
import { Draft } from "./draft.ts";
import { leaveLine } from "./line.ts";
import type { Moves } from "./moves.ts";
import type { Found, Reader } from "./reader.ts";
import { claims, type Running, type StoredJob } from "./record.ts";
import type { FoundFlow, RunSteps } from "./run_steps.ts";
import { ended } from "./settle.ts";

/** A job, where it is, and what it has beside it as a run. */
export interface Target extends Found {
  readonly run: FoundFlow | null;
}

export class Targets {
  readonly #database: Database;
  readonly #moves: Moves;
  readonly #reader: Reader;
  readonly #steps: RunSteps;

  constructor(parts: { database: Database; moves: Moves; reader: Reader; runSteps: RunSteps }) {
    this.#database = parts.database;
    this.#moves = parts.moves;
    this.#reader = parts.reader;
    this.#steps = parts.runSteps;
  }

  /** Reads, builds and commits until nobody was faster; `build` returns `null` where it finds that. */
  async change(
    id: string,
    build: (draft: Draft, target: Target) => Promise<JobRecord | null>,
    missing: () => Error = () => notFound("job", id),
  ): Promise<JobRecord> {
    return await this.#database.insist(async () => {
      const [target] = await this.find([id]);
      if (target === null) throw missing();
      const draft = new Draft();
      checkTarget(draft, target);
      const record = await build(draft, target);
      if (record === null) return null;
      if (await this.#database.commit(draft, record.updatedAt) === null) return null;
      return { ...record };
    });
  }

  /** Jobs by id, with what they have beside them as runs. */
  async find(ids: readonly string[]): Promise<(Target | null)[]> {
    const found = await this.#reader.find(ids);
    const names = found.map((job) => job?.stored.record.name ?? "");
    const runs = ids.filter((_, i) => isRunName(names[i]));
    const flows = await this.#steps.flows(runs);
    const byId = new Map(runs.map((id, i) => [id, flows[i]]));
    return found.map((job, i) => job && { ...job, run: byId.get(ids[i]) ?? null });
  }

  /** A job that does not run is taken from where it is; false where it is in no line any more. */
  async leave(draft: Draft, stored: StoredJob): Promise<boolean> {
    this.#moves.leave(draft, stored);
    if (stored.record.completedAt === null) {
      return await leaveLine(this.#database, draft, stored.record);
    }
    draft.touch(this.#database.keys.fence("finished")); // under the eyes of retention
    return true;
  }

  /** An unfinished job is cancelled, or one that runs is to be; `null` where it has gone from its line. */
  async cancelled(
    draft: Draft,
    { stored, running, run }: Target,
    failure: Failure | null,
    now: EpochMs,
  ): Promise<JobRecord | null> {
    const { record } = stored;
    if (running !== null) return this.interrupt(draft, stored, running, now);
    const cancelled = ended(record, "cancelled", failure, now);
    if (!await this.leave(draft, stored)) return null;
    await this.#moves.finish(draft, cancelled, stored, run?.flow ?? null);
    return cancelled;
  }

  /** Whoever executes a job learns that it is to be cancelled. */
  interrupt(draft: Draft, { record }: StoredJob, running: Running, now: EpochMs): JobRecord {
    const { keys } = this.#database;
    const { id } = record;
    const { token, claim } = running;
    const asked = { ...claim.record, token, cancelRequested: true, updatedAt: now };
    draft.set(keys.claim(id), claims.pack(draft, keys, id, asked, claim).value);
    draft.touch(keys.fence("leases"));
    return { ...record, cancelRequested: true, updatedAt: now };
  }
}

/** Has a commit fail where a job is not as it was read any more. */
export function checkTarget(draft: Draft, { entries, run }: Target): void {
  for (const entry of entries) draft.check(entry);
  if (run !== null && run.entry !== null) draft.check(run.entry);
}
