/** The records that workflows add: what a run has beside its job, its steps, and events. */

import type { EpochMs } from "../../core/clock.ts";
import type { EventRecord } from "../../core/event.ts";
import type { Failure } from "../../core/outcome.ts";
import type { Checkpoint, Rewind } from "../../core/run.ts";
import type { StepWrite } from "../run_store.ts";
import { Format, MAX_BYTES, type Stored } from "./format.ts";

/** What a run has beside its job. Every run has one, for as long as its job exists. */
export interface Flow {
  /** The run that started it. */
  readonly parentId: string | null;
  /** The step there that waits for it. */
  readonly parentPosition: number | null;
  /** True from the moment at which its steps are to be undone. */
  readonly compensating: boolean;
  /** Why they are. */
  readonly cause: Failure | null;
  /** What a retry by hand forgets. */
  readonly rewind: Rewind | null;
  /** From when its time limit counts; null is its start. */
  readonly since: EpochMs | null;
  /** True once a step was remembered: until then there is none to be read. */
  readonly begun: boolean;
  /** True once a step was remembered whose result was not given to the code at once. */
  readonly opened: boolean;
  /** True once a step of it has waited for an event. */
  readonly hears: boolean;
  /** True once it has started another run. */
  readonly bears: boolean;
}

/** What a run has beside its job, as it is kept. */
export type StoredFlow = Stored<Flow>;

/** A checkpoint as it is kept. */
export type StoredStep = Stored<Checkpoint>;

/** Of a run that is nobody's child. */
export const NEW_FLOW: Flow = {
  parentId: null,
  parentPosition: null,
  compensating: false,
  cause: null,
  rewind: null,
  since: null,
  begun: false,
  opened: false,
  hears: false,
  bears: false,
};

/**
 * True for a run that others may write to. Each who does, or who parks or ends it, writes this record
 * anew: there they meet.
 */
export function isMet({ hears, bears }: Flow): boolean {
  return hears || bears;
}

export const flows = new Format<Flow>({ usual: NEW_FLOW, long: ["cause"] });

export const steps = new Format<Checkpoint>({
  usual: {
    kind: "run",
    state: "completed",
    attempt: 1,
    result: null,
    failure: null,
    events: Object.freeze([]),
    key: null,
    eventId: null,
    childId: null,
    until: null,
    leftMs: null,
    seq: null,
    endedAt: null,
  },
  long: ["result", "failure", "events"],
  maxBytes: MAX_BYTES + 2048, // the result of a wait is the payload of an event with its name around it
});

export const events = new Format<EventRecord>({
  usual: { jobId: null, key: null, payload: "null", idempotencyKey: null, delivered: 0 },
  long: ["payload"],
});

/** Under which id what is too large of a step lies. */
export function stepPieces(jobId: string, position: number): string {
  return `${jobId} ${position}`;
}

/** A checkpoint as it is shown now. */
export function shown({ record }: StoredStep, now: EpochMs): Checkpoint {
  const { state, until } = record;
  return {
    ...record,
    leftMs: state !== "open" || until === null ? null : Math.max(0, until - now),
  };
}

/** A step as it is to be remembered. */
export function stepOf(write: StepWrite, before: StoredStep | null, now: EpochMs): Checkpoint {
  return {
    position: write.position,
    name: write.name,
    kind: write.kind,
    state: write.state,
    attempt: write.attempt,
    result: write.result,
    failure: write.failure,
    events: [],
    key: null,
    eventId: null,
    childId: write.child?.id ?? null,
    until: write.delayMs === null ? null : now + write.delayMs,
    leftMs: null,
    seq: write.seq,
    startedAt: before?.record.startedAt ?? now - write.elapsedMs,
    endedAt: write.state === "open" ? null : now,
  };
}
