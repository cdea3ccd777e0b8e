/** How runs come back by hand: what they forget, and what waits again. */

import type { EpochMs } from "../../core/clock.ts";
import { isForgotten, resumptionOf } from "../../core/resumption.ts";
import type { Checkpoint } from "../../core/run.ts";
import type { Database } from "./database.ts";
import { Draft } from "./draft.ts";
import type { Moves } from "./moves.ts";
import { roomFor } from "./run_moves.ts";
import type { RunSteps } from "./run_steps.ts";
import { checkTarget, type Target } from "./targets.ts";

/** Of a run that does what its handler says, instead of undoing it. */
const FORWARD = { compensating: false, cause: null, rewind: null } as const;

export class Resume {
  readonly #database: Database;
  readonly #moves: Moves;
  readonly #steps: RunSteps;

  constructor(parts: { database: Database; moves: Moves; runSteps: RunSteps }) {
    this.#database = parts.database;
    this.#moves = parts.moves;
    this.#steps = parts.runSteps;
  }

  /**
   * A run goes on behind what has completed, with the compensation that failed, or afresh. False where
   * that is too much for one commit, and a part of it has been done by another.
   */
  async retry(draft: Draft, target: Target, now: EpochMs): Promise<boolean> {
    if (target.run === null) return true;
    const { failure } = target.stored.record;
    const { compensating, rewind } = target.run.flow.record;
    const how = resumptionOf({ failure, compensating });
    const isMeant = (step: Checkpoint) => isForgotten(step, how, rewind);
    return await this.#resume(draft, target, isMeant, how !== "compensation", now);
  }

  /** It forgets everything from a position on, and all compensation. False as for {@link Resume.retry}. */
  rewind(draft: Draft, target: Target, from: number, now: EpochMs): Promise<boolean> {
    const isMeant = ({ position }: Checkpoint) => position < 0 || position >= from;
    return this.#resume(draft, target, isMeant, true, now);
  }

  async #resume(
    draft: Draft,
    target: Target,
    isMeant: (step: Checkpoint) => boolean,
    forward: boolean,
    now: EpochMs,
  ): Promise<boolean> {
    const { runs } = this.#moves;
    const { flow } = target.run!;
    const { id, completedAt } = target.stored.record;
    const all = await this.#steps.all(id);
    const forgotten = all.filter(({ record }) => isMeant(record));
    const room = roomFor(forgotten);
    if (room < forgotten.length) {
      // From the last on: what is remembered is then that of an earlier moment, whatever happens.
      const trimming = new Draft();
      checkTarget(trimming, target);
      runs.write(trimming, id, flow.record, flow);
      runs.forgetLast(trimming, id, forgotten, room);
      await this.#database.commit(trimming, now);
      return false;
    }
    for (const step of forgotten) runs.forget(draft, id, step);
    for (const { record } of all) {
      if (record.state === "open" && !isMeant(record)) runs.wait(draft, id, record);
    }
    const after = { ...flow.record, ...(forward && FORWARD), since: now };
    if (completedAt === null) runs.turn(draft, id, after, flow);
    else runs.revive(draft, id, after, flow);
    return true;
  }
}
