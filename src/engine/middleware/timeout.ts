import { type Duration, parseDuration } from "../../core/duration.ts";
import { limitAttempt } from "../execution.ts";
import type { Middleware } from "./compose.ts";

/**
 * Limits every attempt to a duration, where the job has no shorter `timeout` of its own. It works as
 * that one does: the signal aborts, and the retry waits until the handler has let go.
 *
 * @throws {DispatchError} `invalid_duration`
 *
 * @example
 * ```ts
 * import { createExtension, timeout } from "@dispatch/dispatch";
 *
 * const ext = createExtension({ middleware: [timeout("15m")], config: false });
 * ```
 */
export function timeout(limit: Duration): Middleware {
  const ms = parseDuration(limit, "timeout");
  return (job, next) => {
    limitAttempt(job, ms);
    return next();
  };
}
