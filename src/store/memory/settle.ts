import type { EpochMs } from "../../core/clock.ts";
import { CRASH_LOOP, type Failure, MAX_CRASHES, type Outcome } from "../../core/outcome.ts";
import type { SettleStatus } from "../store.ts";
import type { Entry } from "./entry.ts";
import type { MemoryState } from "./state.ts";

/** Ends the attempt of a job whose lease has been checked. */
export function settleEntry(
  state: MemoryState,
  entry: Entry,
  outcome: Outcome,
  now: EpochMs,
): SettleStatus {
  if (entry.job.cancelRequested && outcome.kind !== "complete") {
    if (state.runs?.undoFirst(entry, now)) return "compensating";
    cancelEntry(state, entry, outcome, now);
    return outcome.kind === "cancel" ? "settled" : "cancelled";
  }
  writeOutcome(state, entry, outcome, now);
  return "settled";
}

function writeOutcome(state: MemoryState, entry: Entry, outcome: Outcome, now: EpochMs): void {
  const { job } = entry;
  switch (outcome.kind) {
    case "complete":
      job.result = outcome.result;
      job.failure = null;
      return state.finish(entry, "completed", now);
    case "retry":
      job.failure = frozen(outcome.failure);
      job.retryCount++;
      state.runs?.rewind(job.id, outcome.rewind, now);
      return state.wait(entry, now + outcome.delayMs, now);
    case "release":
      job.attempt--;
      return state.wait(entry, now + outcome.delayMs, now);
    case "dead":
      state.runs?.noteRewind(entry, outcome.rewind);
      return state.die(entry, frozen(outcome.failure), now);
    case "cancel":
      return cancelEntry(state, entry, outcome, now);
    case "park":
    case "compensate": // of a run, so there is a book of runs
      return state.runs!.settle(entry, outcome, now);
  }
}

/** Takes back a lease that has run out. */
export function rescueEntry(state: MemoryState, entry: Entry, now: EpochMs): void {
  entry.job.crashes++;
  if (entry.job.cancelRequested && state.runs?.undoFirst(entry, now)) return;
  if (entry.job.cancelRequested) state.finish(entry, "cancelled", now);
  else if (entry.job.crashes >= MAX_CRASHES) state.die(entry, frozen(CRASH_LOOP), now);
  else state.wait(entry, now, now);
}

function cancelEntry(state: MemoryState, entry: Entry, outcome: Outcome, now: EpochMs): void {
  if (outcome.kind === "retry" || outcome.kind === "dead") {
    entry.job.failure = frozen(outcome.failure);
  }
  if (outcome.kind === "cancel") {
    entry.job.failure = Object.freeze({ code: "cancelled", message: outcome.reason });
  }
  state.finish(entry, "cancelled", now);
}

function frozen(failure: Failure): Failure {
  return Object.freeze({ ...failure });
}
