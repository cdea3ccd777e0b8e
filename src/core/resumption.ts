import type { JobRecord } from "./job.ts";
import type { Failure } from "./outcome.ts";
import type { Checkpoint, Rewind } from "./run.ts";

/** How a run goes on that is retried by hand. */
export type Resumption =
  /** With the compensation that failed. */
  | "compensation"
  /** From its first step: what it did was undone. */
  | "afresh"
  /** Behind the steps that have completed. */
  | "forward";

/** Decides that, for a run that has ended or waits for a retry. */
export function resumptionOf(
  { failure, compensating }: { failure: Failure | null; compensating: boolean },
): Resumption {
  if (!compensating) return "forward";
  return failure?.code === "compensation_failed" ? "compensation" : "afresh";
}

/** True for a step that a retry by hand forgets, so that it is tried again. */
export function isForgotten(step: Checkpoint, how: Resumption, rewind: Rewind | null): boolean {
  switch (how) {
    case "afresh":
      return true;
    case "compensation":
      return step.kind === "compensate" && step.state === "failed";
    case "forward": // a failure that the code has not seen is that of a child which was cancelled
      return isRewound(step, rewind) || (step.state === "failed" && step.seq === null);
  }
}

/** True for a step that a further attempt forgets. */
export function isRewound({ position }: Checkpoint, rewind: Rewind | null): boolean {
  return rewind !== null && (position === rewind.step || position >= rewind.from);
}

/** What a parent is told of a child that ended without a result. */
export function childFailure(job: JobRecord): Failure {
  if (job.state === "cancelled") {
    return { code: "cancelled", message: job.failure?.message ?? "The run was cancelled" };
  }
  return job.failure ?? { code: "handler_failed", message: "no reason was given" };
}
