/**
 * How others write to a run that may be executing: they give one of its open steps its result, and wake
 * it where it is parked. Whoever does that, and the run when it parks, check and write what the run has
 * beside its job: one of the two comes first, and the other finds what he has done.
 */

import type { EpochMs } from "../../core/clock.ts";
import type { KvEntry } from "./client.ts";
import type { Database } from "./database.ts";
import type { Draft } from "./draft.ts";
import { wakeUp } from "./line.ts";
import type { Moves } from "./moves.ts";
import { jobs, type StoredJob } from "./record.ts";
import type { StoredFlow } from "./run_record.ts";
import type { RunSteps } from "./run_steps.ts";

/** A run that somebody is about to write to. */
export interface Met {
  readonly id: string;
  readonly flow: StoredFlow;
  /** Checked by whoever writes. */
  readonly entry: KvEntry;
  /** Its job; `null` where it has ended. */
  readonly job: StoredJob | null;
  /** Where its job is read; checked by who relies on it that the run has not ended. */
  readonly jobEntry: KvEntry;
  readonly isExecuting: boolean;
}

export class Meetings {
  readonly #database: Database;
  readonly #moves: Moves;
  readonly #steps: RunSteps;

  constructor(parts: { database: Database; moves: Moves; runSteps: RunSteps }) {
    this.#database = parts.database;
    this.#moves = parts.moves;
    this.#steps = parts.runSteps;
  }

  /** Reads runs; those that are gone are left out. */
  async read(ids: Iterable<string>): Promise<Map<string, Met>> {
    const { keys } = this.#database;
    const asked = [...new Set(ids)];
    const flows = await this.#steps.flows(asked); // before what they guard
    const entries = asked.length === 0 ? [] : await this.#database.getMany(
      asked.flatMap((id) => [keys.unfinished(id), keys.claim(id)]),
      2,
    );
    const found = new Map<string, Met>();
    for (const [i, id] of asked.entries()) {
      const flow = flows[i];
      if (flow === null) continue;
      const jobEntry = entries[2 * i];
      const job = jobEntry.value === null
        ? null
        : await this.#database.complete(jobs, id, jobs.unpack(jobEntry.value));
      const isExecuting = entries[2 * i + 1].value !== null;
      found.set(id, { id, ...flow, job, jobEntry, isExecuting });
    }
    return found;
  }

  /** Writes that something has come for a run. False where it is not as it was read any more. */
  async meet(
    draft: Draft,
    { id, flow, entry, job, isExecuting }: Met,
    now: EpochMs,
  ): Promise<boolean> {
    draft.check(entry);
    this.#moves.runs.write(draft, id, flow.record, flow);
    if (job !== null && isExecuting) draft.wake(job.record.queue); // it may look what has come
    if (job === null || isExecuting) return true;
    return await wakeUp(this.#database, this.#moves, draft, job, now);
  }
}
