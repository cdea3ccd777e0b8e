import { DispatchError, show } from "../core/errors.ts";

/** What can be set for a queue. */
export interface QueueLimits {
  /** How many of its jobs run at once, over all workers of the store; `null` is no limit. */
  concurrency?: number | null;
}

/** @throws {DispatchError} `invalid_concurrency` */
export function checkLimits(name: string, { concurrency }: QueueLimits): QueueLimits {
  if (concurrency === undefined || concurrency === null) return { concurrency };
  if (Number.isInteger(concurrency) && concurrency >= 1) return { concurrency };
  throw new DispatchError(
    "invalid_concurrency",
    `Cannot limit queue ${JSON.stringify(name)} to ${show(concurrency)} jobs at once`,
    { hint: "Expected a whole number from 1, or null for no limit; pause the queue to stop it." },
  );
}
