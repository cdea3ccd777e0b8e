/**
 * The parts of the port that workflows need; a store may lack them. A run is its job: it is started
 * with {@link JobStore.enqueue} and ends with {@link JobStore.settle}, and what these parts add hangs
 * on the job and goes with it.
 *
 * What a job's end means for a run is the store's to write, in the same transaction, however the job
 * ends: an open step of its parent gets the result or the failure and the parent is woken; a run that
 * ends as cancelled cancels its unfinished children.
 */

import type { EpochMs } from "../core/clock.ts";
import type { EventRecord, NewEvent } from "../core/event.ts";
import type { NewJob } from "../core/job.ts";
import type { JsonText } from "../core/json.ts";
import type { Lease } from "../core/lease.ts";
import type { Failure } from "../core/outcome.ts";
import type {
  Accepted,
  Checkpoint,
  RunCounts,
  RunRecord,
  RunState,
  StepKind,
} from "../core/run.ts";
import type { Page } from "./store.ts";

/** A step to remember. */
export interface StepWrite {
  /** The lease of the run. */
  readonly lease: Lease;
  /** Results of earlier steps that were given to the code since the last write. */
  readonly accepted: readonly Accepted[];
  /** Its place among the calls. */
  readonly position: number;
  /** Its name. */
  readonly name: string;
  /** What it does. */
  readonly kind: StepKind;
  /** `open` for a step that will be tried again, or that waits for the child. */
  readonly state: Checkpoint["state"];
  /** Times that it was tried. */
  readonly attempt: number;
  /** What it returned. */
  readonly result: JsonText | null;
  /** Why it, or its latest attempt, failed. */
  readonly failure: Failure | null;
  /** Milliseconds until it is tried again, where it is open. */
  readonly delayMs: number | null;
  /** Its place in the order of results; null while it is open. */
  readonly seq: number | null;
  /** Milliseconds since it began. */
  readonly elapsedMs: number;
  /** A run to start in the same transaction, as a child of this one. */
  readonly child?: NewJob;
}

/**
 * What became of it: written; not written, because an earlier write had ended the step; or the lease
 * was not held, or its run is to be cancelled and started no more children.
 */
export type StepStatus = "saved" | "kept" | "lost";

/** A step that waits for a moment or an event. */
export interface StepWait {
  /** The lease of the run. */
  readonly lease: Lease;
  /** As for {@link StepWrite.accepted}. */
  readonly accepted: readonly Accepted[];
  /** Its place among the calls. */
  readonly position: number;
  /** Its name. */
  readonly name: string;
  /** Which of the two. */
  readonly kind: "sleep" | "event";
  /** Names of the events, any of which ends the wait. */
  readonly events: readonly string[];
  /** Key of the events. */
  readonly key: string | null;
  /** Milliseconds until the wait is over; null for never, or for `until`. */
  readonly delayMs: number | null;
  /** When it is over. */
  readonly until: number | null;
}

/** Which checkpoints to read. */
export interface CheckpointQuery {
  /** Job of the run. */
  readonly jobId: string;
  /** Only behind this position; null for all of them. */
  readonly after: number | null;
  /** At most so many. */
  readonly limit: number;
  /** True reads only those that were not given to the code yet. */
  readonly pending: boolean;
}

/** What a run goes on with: what it has beside its job, and the first of its steps. */
export interface RunRest extends Pick<RunRecord, "compensating" | "cause"> {
  /** From when its time limit counts; null is from its creation. */
  readonly since: EpochMs | null;
  /** Its checkpoints, in the order of their positions. */
  readonly checkpoints: readonly Checkpoint[];
}

/** Which runs to list. Every field that is set narrows the list. */
export interface RunQuery {
  /** Only runs in this state. */
  readonly state?: RunState;
  /** Only runs of this workflow, whatever its version. */
  readonly name?: string;
  /** Only children of the run that is this job. */
  readonly parentId?: string;
  /** At most so many. */
  readonly limit: number;
  /** Skips so many. */
  readonly offset: number;
  /** Starts behind the record that an earlier page ended with. */
  readonly cursor?: string;
}

/** Runs of one version that are due and that nobody claims. */
export interface UnservedRuns {
  /** Name of their jobs. */
  readonly jobName: string;
  /** How many. */
  readonly runs: number;
}

/** The runs of a store, and what is remembered of their steps. */
export interface RunStore {
  /** Reads runs by the ids of their jobs, `null` for those that do not exist. */
  get(jobIds: readonly string[]): Promise<(RunRecord | null)[]>;
  /** Reads what claimed runs go on with, at most so many checkpoints of each. */
  resume(jobIds: readonly string[], limit: number): Promise<RunRest[]>;
  /** Lists runs, the newest first. */
  list(query: RunQuery): Promise<Page<RunRecord>>;
  /** Counts runs by state. */
  counts(): Promise<RunCounts>;
  /**
   * Remembers steps, of any number of runs. The first write that ends a step stands; one that is open
   * is changed. A child is added with it or not at all.
   */
  save(writes: readonly StepWrite[]): Promise<StepStatus[]>;
  /**
   * Has steps wait, or looks whether their wait is over: by a kept event that this run has not taken
   * yet, the oldest first, or by the moment that the first call has set. A wait without a key is ended
   * by events without one that came after the run was started. `null` where the lease is not held.
   */
  wait(waits: readonly StepWait[]): Promise<(Checkpoint | null)[]>;
  /** Reads checkpoints in the order of their positions. */
  checkpoints(queries: readonly CheckpointQuery[]): Promise<Checkpoint[][]>;
  /**
   * Cancels a run and has it undo its steps first. One that runs is interrupted, as by
   * {@link JobStore.cancel}; its children are cancelled when it has ended.
   *
   * @throws {DispatchError} `not_found`, `wrong_state`
   */
  compensate(jobId: string): Promise<RunRecord>;
  /**
   * Forgets the steps from a position on, and all compensation, and has the run go on from there.
   * Children that the forgotten steps wait for are cancelled.
   *
   * @throws {DispatchError} `not_found`, `wrong_state` while it is executing, `unique_conflict`
   */
  rewind(jobId: string, from: number): Promise<RunRecord>;
  /** Counts runs of other versions than these that have been due for longer than that. */
  unserved(jobNames: readonly string[], dueForMs: number): Promise<UnservedRuns[]>;
}

/** The events of a store. */
export interface EventStore {
  /**
   * Keeps events, and ends with each the first step that waits for it of every run that it is for, in
   * one transaction with waking those runs. An event whose idempotency key one of the same name and
   * run has is not taken: that one is returned in its place.
   *
   * @throws {DispatchError} `not_found` for an unknown run, `wrong_state` for one that has ended
   */
  publish(events: readonly NewEvent[]): Promise<EventRecord[]>;
  /**
   * Removes at most `limit` events that came longer ago than that, apart from those that are for an
   * unfinished run. Returns how many.
   */
  prune(keepMs: number, limit: number): Promise<number>;
}
