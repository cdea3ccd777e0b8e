import { messageOf } from "../../core/errors.ts";
import type { JobContext } from "../definition.ts";
import { JobSignal } from "../../core/outcome.ts";
import type { Middleware } from "./compose.ts";

/**
 * Makes sure that whatever a handler throws is an `Error`: `throw "no"`, `throw undefined` and
 * rejections without a reason then have a message and a stack like any other failure. `onError` is
 * told of each failure, for an error tracker; if it throws itself, that changes nothing.
 *
 * @example
 * ```ts
 * import { createExtension, recover } from "@dispatch/dispatch";
 *
 * const ext = createExtension({
 *   middleware: [recover((error, job) => console.error(job.id, error))],
 *   config: false,
 * });
 * ```
 */
export function recover(onError?: (error: Error, job: JobContext) => void): Middleware {
  return async (job, next) => {
    try {
      return await next();
    } catch (thrown) {
      if (thrown instanceof JobSignal) throw thrown; // snooze and its siblings are no failures
      const error = thrown instanceof Error
        ? thrown
        : new Error(`${job.name} threw ${thrown === undefined ? "nothing" : messageOf(thrown)}`, {
          cause: thrown,
        });
      try {
        onError?.(error, job);
      } catch { /* reporting must not change the outcome */ }
      throw error;
    }
  };
}
