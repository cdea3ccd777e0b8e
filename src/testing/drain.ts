import { nextTurn } from "../core/clock.ts";
import { type Duration, parseDuration } from "../core/duration.ts";
import { DispatchError } from "../core/errors.ts";
import type { JobCounts } from "../core/job.ts";
import type { Engine } from "../engine/engine.ts";
import type { HeldClock } from "./held_clock.ts";

/** What {@link drain} takes. */
export interface DrainOptions {
  /** The clock that the engine and its store run on, where a test holds it: it is moved on. */
  clock?: HeldClock;
  /** How long to go on, in the time of the clock. Default `"10s"`, and `"1h"` of held time. */
  timeout?: Duration;
}

/** How far held time is moved between two looks. */
const STEP_MS = 1000;

/**
 * Resolves when every job has ended: delayed ones and those that wait for a retry as well. Returns
 * how many there are in each state. With a held clock it takes no real time.
 *
 * @throws {DispatchError} `result_timeout` that says what is left
 *
 * @example
 * ```ts
 * import { createExtension, defineJob, memoryStore } from "@dispatch/dispatch";
 * import { drain, heldClock } from "@dispatch/dispatch/testing";
 *
 * const clock = heldClock();
 * const Nightly = defineJob({ name: "nightly", handler: () => "done" });
 * await using ext = createExtension({
 *   jobs: [Nightly],
 *   store: memoryStore({ clock }),
 *   clock,
 *   config: false,
 * });
 * await ext.start();
 * await ext.engine.enqueue(Nightly, {}, { delay: "45m" });
 * console.log((await drain(ext.engine, { clock })).completed); // 1
 * ```
 */
export async function drain(engine: Engine, options: DrainOptions = {}): Promise<JobCounts> {
  const { clock } = options;
  const limit = parseDuration(options.timeout ?? (clock === undefined ? "10s" : "1h"), "timeout");
  const now = () => clock?.now() ?? Date.now();
  const start = now();
  for (;;) {
    const counts = await engine.jobs.counts();
    const left = counts.pending + counts.running + counts.retrying;
    if (left === 0) return counts;
    if (now() - start >= limit) {
      throw new DispatchError(
        "result_timeout",
        `Cannot wait longer than ${limit} ms: ${JSON.stringify(counts)} jobs are there`,
        { hint: "Is a job registered that never ends, or is one of them registered nowhere?" },
      );
    }
    if (clock === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
    else await clock.advance(Math.min(STEP_MS, limit));
    await nextTurn();
  }
}
