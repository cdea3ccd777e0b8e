/**
 * What the memory store holds of runs beside their jobs, and the moves that keep it right when a job
 * ends, goes, or comes back.
 */

import type { EpochMs } from "../../core/clock.ts";
import type { Failure, RunOutcome } from "../../core/outcome.ts";
import { childFailure, isForgotten, isRewound, resumptionOf } from "../../core/resumption.ts";
import { type Accepted, type Checkpoint, isRunName, NEVER, type Rewind } from "../../core/run.ts";
import { type Entry, isFinished, isWaiting, type Mutable } from "./entry.ts";
import type { MemoryState } from "./state.ts";

type Park = Extract<RunOutcome, { kind: "park" }>;

/** A step as the store holds it. */
export type Step = Mutable<Checkpoint>;

/** What a run has beside its job. */
export interface RunEntry {
  readonly jobId: string;
  /** The run that started it, and the step there that waits for it. */
  parentId: string | null;
  parentPosition: number | null;
  readonly children: Set<string>;
  compensating: boolean;
  cause: Failure | null;
  /** What a retry by hand forgets. */
  rewind: Rewind | null;
  since: EpochMs;
  readonly steps: Map<number, Step>;
  /** Steps whose result was not given to the code yet, in the order of their beginning. */
  readonly pending: Map<number, Step>;
  /** Events that steps have taken. */
  readonly taken: Set<string>;
}

/** How a step ends. */
export interface StepEnd {
  readonly state: "completed" | "failed";
  readonly result?: string | null;
  readonly failure?: Failure | null;
  readonly eventId?: string;
}

export class RunBook {
  readonly #state: MemoryState;
  readonly #runs = new Map<string, RunEntry>();
  /** Steps that wait for events, by what they wait for: the runs, and their steps. */
  readonly #waiting = new Map<string, Map<string, Set<number>>>();
  /** Called when a run goes, for whatever else hangs on it. */
  onGone: (jobId: string) => void = () => {};

  constructor(state: MemoryState) {
    this.#state = state;
  }

  /** What a run has beside its job, where that is more than nothing. */
  find(jobId: string): RunEntry | undefined {
    return this.#runs.get(jobId);
  }

  /** The same, made where there was nothing. */
  of({ job }: Entry): RunEntry {
    let run = this.#runs.get(job.id);
    if (run === undefined) {
      run = {
        jobId: job.id,
        parentId: null,
        parentPosition: null,
        children: new Set(),
        compensating: false,
        cause: null,
        rewind: null,
        since: job.createdAt,
        steps: new Map(),
        pending: new Map(),
        taken: new Set(),
      };
      this.#runs.set(job.id, run);
    }
    return run;
  }

  /** Links a run to the one that started it. */
  adopt(parent: Entry, child: Entry, position: number | null): void {
    const run = this.of(child);
    run.parentId = parent.job.id;
    run.parentPosition = position;
    this.of(parent).children.add(child.job.id);
  }

  /** Adds a step, or changes one. */
  put(run: RunEntry, step: Step): void {
    const before = run.steps.get(step.position);
    if (before !== undefined) this.#unwait(run, before);
    run.steps.set(step.position, step);
    if (step.seq === null) run.pending.set(step.position, step);
    else run.pending.delete(step.position);
    if (step.state !== "open") return;
    for (const name of step.events) {
      const topic = topicOf(name, step.key);
      const runs = this.#waiting.get(topic) ?? new Map<string, Set<number>>();
      this.#waiting.set(topic, runs);
      runs.set(run.jobId, (runs.get(run.jobId) ?? new Set()).add(step.position));
    }
  }

  /** Ends a step that is open. */
  end(run: RunEntry, step: Step, end: StepEnd, now: EpochMs): void {
    this.#unwait(run, step);
    step.state = end.state;
    step.result = end.result ?? null;
    step.failure = end.failure ?? null;
    step.eventId = end.eventId ?? null;
    step.endedAt = now;
    if (end.eventId !== undefined) run.taken.add(end.eventId);
  }

  /** Notes what was given to the code. */
  accept(run: RunEntry, accepted: readonly Accepted[]): void {
    for (const { position, seq } of accepted) {
      const step = run.pending.get(position);
      if (step === undefined || step.state === "open") continue;
      step.seq = seq;
      run.pending.delete(position);
    }
  }

  /** Runs that wait for an event, and the first step of each that does. */
  *waitersOf(name: string, key: string | null): Iterable<[RunEntry, Step]> {
    for (const [jobId, positions] of this.#waiting.get(topicOf(name, key)) ?? []) {
      const run = this.#runs.get(jobId)!;
      yield [run, run.steps.get(Math.min(...positions))!];
    }
  }

  /** A run that is not executing is ready now; one that is may look what has come. */
  wake(jobId: string, now: EpochMs): void {
    const entry = this.#state.jobs.get(jobId);
    if (entry === undefined) return;
    const { state, runAt, queue } = entry.job;
    if (isWaiting(state) && runAt > now) this.#state.wait(entry, now, now);
    else if (state === "running") this.#state.wake(queue);
  }

  /** The job has ended: its parent is told, and a tree that is cancelled falls. */
  ended({ job }: Entry, now: EpochMs): void {
    const run = this.#runs.get(job.id);
    if (run === undefined) return;
    for (const step of run.pending.values()) this.#unwait(run, step);
    if (job.state === "completed") run.compensating = false;
    const parent = run.parentId === null ? undefined : this.#runs.get(run.parentId);
    const step = run.parentPosition === null ? undefined : parent?.steps.get(run.parentPosition);
    if (parent !== undefined && step?.state === "open" && step.childId === job.id) {
      const end: StepEnd = job.state === "completed"
        ? { state: "completed", result: job.result }
        : { state: "failed", failure: childFailure(job) };
      this.end(parent, step, end, now);
      this.wake(parent.jobId, now);
    }
    if (job.state !== "cancelled") return;
    for (const childId of run.children) this.cancel(childId, now);
  }

  /** Cancels the child of a run that was. */
  cancel(jobId: string, now: EpochMs): void {
    const entry = this.#state.jobs.get(jobId);
    if (entry === undefined || isFinished(entry.job.state)) return;
    if (this.#runs.get(jobId)?.compensating) return; // it undoes what it did, and then ends
    if (entry.job.state === "running") entry.job.cancelRequested = true;
    else {
      entry.job.failure = Object.freeze({ code: "cancelled", message: "Its parent was cancelled" });
      this.#state.finish(entry, "cancelled", now);
    }
  }

  /** Forgets steps. Children that they wait for are cancelled. */
  forget(run: RunEntry, isMeant: (step: Checkpoint) => boolean, now: EpochMs): void {
    for (const step of [...run.steps.values()].filter(isMeant)) {
      this.#unwait(run, step);
      run.steps.delete(step.position);
      run.pending.delete(step.position);
      if (step.eventId !== null) run.taken.delete(step.eventId);
      if (step.state === "open" && step.childId !== null) this.cancel(step.childId, now);
    }
  }

  /** Ends a slice of a run in a way in which only runs end. */
  settle(entry: Entry, outcome: RunOutcome, now: EpochMs): void {
    const { job } = entry;
    const run = this.of(entry);
    if (outcome.kind === "compensate") {
      run.compensating = true;
      run.cause = Object.freeze({ ...outcome.cause });
      return this.#state.wait(entry, now, now);
    }
    job.attempt--;
    job.crashes = 0; // it got somewhere
    this.accept(run, outcome.accepted);
    this.#state.wait(entry, this.#dueAt(run, outcome, now), now);
  }

  /** A run that was cancelled so that it undoes its steps first is ready to do that. */
  undoFirst(entry: Entry, now: EpochMs): boolean {
    if (!this.#runs.get(entry.job.id)?.compensating) return false;
    entry.job.cancelRequested = false;
    this.#state.wait(entry, now, now);
    return true;
  }

  /** A run has failed: this is what a retry by hand forgets. */
  noteRewind(entry: Entry, rewind: Rewind | undefined): void {
    if (rewind !== undefined) this.of(entry).rewind = rewind;
  }

  /** A run is tried again: the failure that ended its attempt is forgotten. */
  rewind(jobId: string, rewind: Rewind | undefined, now: EpochMs): void {
    const run = this.#runs.get(jobId);
    if (run !== undefined && rewind !== undefined) {
      this.forget(run, (step) => isRewound(step, rewind), now);
    }
  }

  /** A run comes back by hand. */
  resume({ job }: Entry, now: EpochMs): void {
    const run = this.#runs.get(job.id);
    if (run === undefined) return;
    const how = resumptionOf({ failure: job.failure, compensating: run.compensating });
    this.forget(run, (step) => isForgotten(step, how, run.rewind), now);
    this.restart(run, now);
    if (how !== "compensation") this.forward(run);
  }

  /** Its time limit counts from now, and steps that were open wait again. */
  restart(run: RunEntry, now: EpochMs): void {
    run.since = now;
    for (const step of [...run.pending.values()]) this.put(run, step);
  }

  /** It does what its handler says, instead of undoing it. */
  forward(run: RunEntry): void {
    run.compensating = false;
    run.cause = null;
    run.rewind = null;
  }

  /** The job is gone. */
  gone({ job }: Entry): void {
    if (!isRunName(job.name)) return;
    const run = this.#runs.get(job.id);
    this.onGone(job.id);
    if (run === undefined) return;
    for (const step of run.pending.values()) this.#unwait(run, step);
    if (run.parentId !== null) this.#runs.get(run.parentId)?.children.delete(job.id);
    this.#runs.delete(job.id);
  }

  /** When a parked run is due: at once where something has come that its code does not know. */
  #dueAt(run: RunEntry, { timed, deadline }: Park, now: EpochMs): EpochMs {
    let due = deadline ?? NEVER;
    for (const position of timed) due = Math.min(due, run.steps.get(position)?.until ?? NEVER);
    if (run.compensating) return due;
    for (const step of run.pending.values()) if (step.state !== "open") return now;
    return due;
  }

  #unwait(run: RunEntry, step: Step): void {
    for (const name of step.events) {
      const topic = topicOf(name, step.key);
      const runs = this.#waiting.get(topic);
      const positions = runs?.get(run.jobId);
      positions?.delete(step.position);
      if (positions?.size === 0) runs!.delete(run.jobId);
      if (runs?.size === 0) this.#waiting.delete(topic);
    }
  }
}

/** What an event that is for no run alone is about. */
export function topicOf(name: string, key: string | null): string {
  return JSON.stringify([name, key]);
}
