import type { EpochMs } from "../core/clock.ts";
import type { Checkpoint } from "../core/run.ts";
import type { StepWait } from "./run_store.ts";

/** A step that begins to wait. */
export function waitOf(wait: StepWait, now: EpochMs): Checkpoint {
  return {
    position: wait.position,
    name: wait.name,
    kind: wait.kind,
    state: "open",
    attempt: 1,
    result: null,
    failure: null,
    events: Object.freeze([...wait.events]),
    key: wait.key,
    eventId: null,
    childId: null,
    until: wait.delayMs === null ? wait.until : now + wait.delayMs,
    leftMs: null,
    seq: null,
    startedAt: now,
    endedAt: null,
  };
}
