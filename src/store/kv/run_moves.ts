/** The moves of runs and their steps: what `moves.ts` is for jobs. */

import type { EpochMs } from "../../core/clock.ts";
import type { JobRecord } from "../../core/job.ts";
import type { Checkpoint, RunState } from "../../core/run.ts";
import { Draft } from "./draft.ts";
import { deletePieces } from "./format.ts";
import type { Keys } from "./keys.ts";
import {
  type Flow,
  flows,
  isMet,
  NEW_FLOW,
  stepPieces,
  steps,
  type StoredFlow,
  type StoredStep,
} from "./run_record.ts";
import { decode, encode } from "./value.ts";

/** So many writes are left for steps to be forgotten in a commit that does other things as well. */
const ROOM = 500;

/** How a step ends that waits. */
export type StepEnd = Pick<Checkpoint, "state"> & Partial<Checkpoint>;

/** Writes the moves of runs of one installation. */
export class RunMoves {
  readonly #keys: Keys;

  constructor(keys: Keys) {
    this.#keys = keys;
  }

  /** A run is started, perhaps by another. */
  start(draft: Draft, id: string, flow: Flow = NEW_FLOW): void {
    this.write(draft, id, flow, null);
    draft.countRun("running", 1);
    if (flow.parentId !== null) draft.set(this.#keys.child(flow.parentId, id));
  }

  /** What a run has beside its job is written: anew, so that others find that something has changed. */
  write(draft: Draft, id: string, flow: Flow, before: StoredFlow | null): StoredFlow {
    const { value, stored } = flows.pack(draft, this.#keys, id, flow, before);
    draft.set(this.#keys.run(id), value);
    return stored;
  }

  /** The job of a run has ended. */
  end(draft: Draft, { id, state }: JobRecord, before: StoredFlow, flow = before.record): void {
    draft.countRun(unfinished(before.record), -1);
    draft.countRun(state as RunState, 1);
    const compensating = flow.compensating && state !== "completed";
    if (isMet(flow) || flow !== before.record || compensating !== flow.compensating) {
      this.write(draft, id, { ...flow, compensating }, before);
    }
    const falls = flow.bears && state === "cancelled";
    if (flow.parentPosition !== null || flow.hears || falls) draft.leave("ended", id);
  }

  /** A run that has not ended is to undo its steps, or not any more. */
  turn(draft: Draft, id: string, flow: Flow, before: StoredFlow): StoredFlow {
    draft.countRun(unfinished(before.record), -1);
    draft.countRun(unfinished(flow), 1);
    return this.write(draft, id, flow, before);
  }

  /** A run that had ended goes on. */
  revive(draft: Draft, id: string, flow: Flow, before: StoredFlow): void {
    draft.countRun(unfinished(flow), 1);
    this.write(draft, id, flow, before);
  }

  /** A run has gone, with its job. */
  gone(draft: Draft, id: string, { record, pieces }: StoredFlow): void {
    draft.delete(this.#keys.run(id));
    deletePieces(draft, this.#keys, id, pieces);
    if (record.parentId !== null) draft.delete(this.#keys.child(record.parentId, id));
    draft.leave("gone", id);
  }

  /** Remembers a step, or changes one. */
  put(draft: Draft, id: string, step: Checkpoint, before: StoredStep | null): void {
    const { position, seq } = step;
    const keys = this.#keys;
    const { value } = steps.pack(draft, keys, stepPieces(id, position), step, before);
    draft.set(seq === null ? keys.open(id, position) : keys.step(id, position), value);
    if (before !== null && seq !== null) draft.delete(keys.open(id, position));
  }

  /** A step begins to wait for events, or does so again. */
  wait(draft: Draft, id: string, { events, key, position }: Checkpoint): void {
    for (const name of events) draft.set(this.#keys.wait(name, key, id, position));
  }

  /** It does not any more. */
  unwait(draft: Draft, id: string, { events, key, position }: Checkpoint): void {
    for (const name of events) draft.delete(this.#keys.wait(name, key, id, position));
  }

  /** An open step ends, and does not wait any more. */
  finish(draft: Draft, id: string, before: StoredStep, end: StepEnd, now: EpochMs): Checkpoint {
    const step = { ...before.record, ...end, endedAt: now };
    this.put(draft, id, step, before);
    this.unwait(draft, id, before.record);
    if (step.eventId !== null) this.take(draft, id, step.eventId);
    return step;
  }

  /** An event is given to a run. Whoever does that checks and writes what it has beside its job. */
  take(draft: Draft, id: string, eventId: string): void {
    draft.set(this.#keys.took(id, eventId));
  }

  /** The result of a step, as `value` has it, was given to the code. */
  accept(draft: Draft, id: string, position: number, value: unknown, seq: number): void {
    draft.set(this.#keys.step(id, position), encode({ ...decode<object>(value), seq }));
    draft.delete(this.#keys.open(id, position));
  }

  /** A step is forgotten; a child that it waits for is not wanted any more. */
  forget(draft: Draft, id: string, { record: step, pieces }: StoredStep): void {
    const keys = this.#keys;
    draft.delete(step.seq === null ? keys.open(id, step.position) : keys.step(id, step.position));
    deletePieces(draft, keys, stepPieces(id, step.position), pieces);
    if (step.eventId !== null) draft.delete(keys.took(id, step.eventId));
    if (step.state !== "open") return;
    this.unwait(draft, id, step);
    if (step.childId !== null) draft.leave("unwanted", step.childId);
  }

  /** Forgets as many steps as fit, from the last on, apart from the first few. Returns how many are left. */
  forgetLast(draft: Draft, id: string, steps: readonly StoredStep[], keep: number): number {
    for (let left = steps.length;; left--) {
      if (left <= keep) return left;
      const one = new Draft();
      this.forget(one, id, steps[left - 1]);
      if (!draft.fits(one)) return left;
      draft.add(one);
    }
  }
}

/** How many of the steps, from the first on, such a commit can forget. */
export function roomFor(all: readonly StoredStep[]): number {
  let writes = 0;
  const at = all.findIndex(({ record, pieces }) => {
    const count = Object.values(pieces ?? {}).reduce((sum, n) => sum + n, 0);
    return (writes += 2 + count + record.events.length) > ROOM;
  });
  return at === -1 ? all.length : at;
}

/** Where a run is that has not ended. */
function unfinished({ compensating }: Flow): RunState {
  return compensating ? "compensating" : "running";
}
