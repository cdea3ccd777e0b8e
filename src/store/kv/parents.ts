import { childFailure } from "../../core/resumption.ts";
import type { JobRecord } from "../../core/job.ts";
import type { KvKey } from "./client.ts";
import type { Database } from "./database.ts";
import { Draft } from "./draft.ts";
import type { Meetings } from "./meetings.ts";
import type { Moves } from "./moves.ts";
import type { StepEnd } from "./run_moves.ts";
import type { Flow } from "./run_record.ts";
import type { RunSteps } from "./run_steps.ts";

/** A run that has ended. */
export interface EndedRun {
  readonly job: JobRecord;
  readonly flow: Flow;
}

/** A child that has ended, and the step that waits for it. */
interface Told {
  readonly child: JobRecord;
  readonly parentId: string;
  readonly position: number;
}

/** So many children are told of in a commit at most. */
const PORTION = 100;

/** Tells runs how those ended that they wait for. */
export class Parents {
  readonly #database: Database;
  readonly #moves: Moves;
  readonly #steps: RunSteps;
  readonly #meetings: Meetings;

  constructor(parts: {
    database: Database;
    moves: Moves;
    runSteps: RunSteps;
    meetings: Meetings;
  }) {
    this.#database = parts.database;
    this.#moves = parts.moves;
    this.#steps = parts.runSteps;
    this.#meetings = parts.meetings;
  }

  /** Tells the parents of runs that have ended; the note of it goes with the last commit. */
  async tell(ended: readonly EndedRun[], note: KvKey): Promise<void> {
    let left = ended.flatMap(({ job: child, flow }): Told[] => {
      const { parentId, parentPosition: position } = flow;
      return parentId === null || position === null ? [] : [{ child, parentId, position }];
    });
    do left = await this.#database.insist(() => this.#tellSome(left, note)); while (
      left.length > 0
    );
  }

  /** One commit. Returns who is left, `null` where somebody was faster. */
  async #tellSome(left: readonly Told[], note: KvKey): Promise<Told[] | null> {
    const { keys } = this.#database;
    const maxChecks = await this.#database.maxChecks();
    const now = this.#database.now();
    const some = left.slice(0, PORTION);
    const parents = await this.#meetings.read(some.map(({ parentId }) => parentId));
    const steps = await this.#steps.at(some.map((one) => keys.open(one.parentId, one.position)));
    const draft = new Draft();
    const met = new Set<string>();
    let count = 0;
    for (const [i, { child, parentId }] of some.entries()) {
      const parent = parents.get(parentId);
      const step = steps[i];
      const waits = step?.record.state === "open" && step.record.childId === child.id;
      if (parent !== undefined && step !== null && waits) {
        const one = new Draft();
        this.#moves.runs.finish(one, parentId, step, endOf(child), now);
        const first = !met.has(parentId);
        if (first && !await this.#meetings.meet(one, parent, now)) return null;
        if (!draft.fits(one, maxChecks)) break;
        draft.add(one);
        met.add(parentId);
      }
      count++;
    }
    if (count === left.length) draft.delete(note);
    if (!draft.isEmpty && await this.#database.commit(draft, now) === null) return null;
    return left.slice(count);
  }
}

/** What its parent is told of a child. */
function endOf(child: JobRecord): StepEnd {
  return child.state === "completed"
    ? { state: "completed", result: child.result, failure: null }
    : { state: "failed", result: null, failure: childFailure(child) };
}
