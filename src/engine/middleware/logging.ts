import { messageOf } from "../../core/errors.ts";
import { consoleLogger, harmless, type Logger } from "../../core/logger.ts";
import { JobSignal } from "../../core/outcome.ts";
import type { Middleware } from "./compose.ts";

/**
 * Logs the start and the end of every attempt, with its duration in milliseconds. Starts and
 * successes are `info`, failures are `warn`: whether they are final is the engine's to log.
 *
 * @param logger default: the console
 *
 * @example
 * ```ts
 * import { createExtension, logging } from "@dispatch/dispatch";
 *
 * const ext = createExtension({ middleware: [logging()], config: false });
 * ```
 */
export function logging(logger: Logger = consoleLogger()): Middleware {
  const log = harmless(logger);
  return async (job, next) => {
    const fields = { job: job.id, name: job.name, queue: job.queue, attempt: job.attempt };
    log.info("job started", fields);
    const start = performance.now();
    const ms = () => Math.round(performance.now() - start);
    try {
      const result = await next();
      log.info("job handled", { ...fields, ms: ms() });
      return result;
    } catch (thrown) {
      const [level, message] = thrown instanceof JobSignal
        ? ["info", `job left with ${thrown.kind}`] as const
        : ["warn", "attempt failed"] as const;
      log[level](message, { ...fields, ms: ms(), error: messageOf(thrown) });
      throw thrown;
    }
  };
}
