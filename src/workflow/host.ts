import type { Backoff } from "../core/backoff.ts";
import type { Clock } from "../core/clock.ts";
import type { DispatchError } from "../core/errors.ts";
import type { NewJob, Scope } from "../core/job.ts";
import type { Checkpoint } from "../core/run.ts";
import type { StepStatus, StepWait, StepWrite } from "../store/store.ts";
import type { AnyWorkflowDefinition } from "./definition.ts";

/** Tells code that runs inside a step from code beside it. */
export interface Ambient {
  /** Runs `work`; within it, also behind its awaits, {@link Ambient.inside} is true. */
  run<T>(work: () => T): T;
  /** True within {@link Ambient.run}. */
  inside(): boolean;
}

/** A step of a run, as hooks are told of it. */
export interface StepEvent {
  /** Its name, numbered where it was used before. */
  readonly name: string;
  /** Milliseconds from its start to its end. */
  readonly durationMs: number;
  /** Message of its failure; null where it completed. */
  readonly error: string | null;
}

/** What a run may do while a worker holds its lease. Its writes are fenced by it. */
export interface SliceHost {
  /** `run_…`. */
  readonly runId: string;
  /** Its tenant. */
  readonly scope: Scope;
  readonly clock: Clock;
  readonly ambient: Ambient;
  readonly backoff: Backoff;
  readonly maxPayloadBytes: number;
  /** Aborts when the run is to stop: its time is over, it was cancelled, its worker stops. */
  readonly signal: AbortSignal;
  /** Why, once it has. */
  readonly abortReason: DispatchError | null;
  /** Reads a page of checkpoints: all, or those that the code does not know yet. */
  checkpoints(after: number | null, pending: boolean): Promise<Checkpoint[]>;
  save(write: Omit<StepWrite, "lease">): Promise<StepStatus>;
  /** `null` where the lease is lost. */
  wait(wait: Omit<StepWait, "lease">): Promise<Checkpoint | null>;
  /** Calls `look` when a step that waits may have ended; what it returns stops that. */
  onHint(look: () => void): () => void;
  /** Makes the job of a child, or says what is wrong with it. */
  buildChild(
    workflow: AnyWorkflowDefinition | string,
    input: unknown,
  ): NewJob | Promise<NewJob>;
  /** Tells hooks that a step has ended. */
  onStep(step: StepEvent): void;
  /** Tells the log of a write that failed and is tried again. */
  onTrouble(error: unknown): void;
}

/** How many checkpoints are read at a time. */
export const PAGE_SIZE = 500;
