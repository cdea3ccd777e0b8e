import { type Backoff, defaultBackoff } from "../core/backoff.ts";
import { type Clock, systemClock } from "../core/clock.ts";
import { type Duration, parseDuration } from "../core/duration.ts";
import { DispatchError, invalidOption, show } from "../core/errors.ts";
import { consoleLogger, harmless, type Logger } from "../core/logger.ts";
import { checkQueue } from "../core/name.ts";
import type { LifecycleExtension } from "./lifecycle.ts";
import { compose, type Middleware } from "./middleware/compose.ts";
import { checkLimits, type QueueLimits } from "./queue_limits.ts";
import { parseRetention, type Retention, type RetentionMs } from "./retention.ts";

/** What tunes an engine. Every field has a default that suits most applications. */
export interface EngineOptions {
  /** Jobs that run at once in this process. 0 only enqueues and runs nothing. Default 10. */
  concurrency?: number;
  /** Queues to take jobs from. Default `["default"]`. */
  queues?: readonly string[];
  /** Limits of queues, by name. They are written to the store at start and hold for all workers. */
  queueLimits?: Readonly<Record<string, QueueLimits>>;
  /** Delay before a retry, for definitions without one of their own. */
  backoff?: Backoff;
  /** Wraps every handler; the first is the outermost. */
  middleware?: readonly Middleware[];
  /** Hooks into what the engine does. */
  extensions?: readonly LifecycleExtension[];
  /** Refuses to enqueue a name that is not registered in this process. Default false. */
  strictNames?: boolean;
  /** First wait of an idle worker before it looks again. Doubles up to the next. Default `"1s"`. */
  pollInterval?: Duration;
  /** Longest wait of an idle worker. Default `"5s"`. */
  maxPollInterval?: Duration;
  /** How often leases are extended, and expired ones of others taken back. Default `"10s"`. */
  heartbeatInterval?: Duration;
  /** How long a worker may go silent before its jobs are taken back. Default `"30s"`. */
  leaseDuration?: Duration;
  /** How long running handlers have to finish at stop before their signals abort. Default `"30s"`. */
  shutdownTimeout?: Duration;
  /** How long finished records are kept: one duration for all jobs, or one for each kind. */
  retention?: Duration | false | Retention;
  /** Where the engine logs to. Default: the console. */
  logger?: Logger;
  /** Where the engine gets the time from. Default: the machine. */
  clock?: Clock;
}

/** The same, checked and complete. */
export interface EngineSettings {
  readonly concurrency: number;
  readonly queues: readonly string[];
  readonly queueLimits: ReadonlyMap<string, QueueLimits>;
  readonly backoff: Backoff;
  readonly middleware: Middleware | null;
  readonly extensions: readonly LifecycleExtension[];
  readonly strictNames: boolean;
  readonly pollMs: number;
  readonly maxPollMs: number;
  readonly heartbeatMs: number;
  readonly leaseMs: number;
  readonly shutdownMs: number;
  readonly retention: RetentionMs;
  readonly logger: Logger;
  readonly clock: Clock;
}

/**
 * Checks options and fills in defaults.
 *
 * @throws {DispatchError} `invalid_concurrency`, `invalid_queue`, `invalid_duration`, `invalid_option`
 */
export function readOptions(options: EngineOptions): EngineSettings {
  const settings: EngineSettings = {
    concurrency: checkConcurrency(options.concurrency ?? 10),
    queues: checkQueues(options.queues ?? ["default"]),
    queueLimits: new Map(
      Object.entries(options.queueLimits ?? {})
        .map(([name, limits]) => [checkQueue(name), checkLimits(name, limits)]),
    ),
    backoff: options.backoff ?? defaultBackoff,
    middleware: options.middleware?.length ? compose(...options.middleware) : null,
    extensions: options.extensions ?? [],
    strictNames: options.strictNames ?? false,
    pollMs: positive(options.pollInterval ?? "1s", "pollInterval"),
    maxPollMs: positive(options.maxPollInterval ?? "5s", "maxPollInterval"),
    heartbeatMs: positive(options.heartbeatInterval ?? "10s", "heartbeatInterval"),
    leaseMs: positive(options.leaseDuration ?? "30s", "leaseDuration"),
    shutdownMs: parseDuration(options.shutdownTimeout ?? "30s", "shutdownTimeout"),
    retention: parseRetention(options.retention),
    logger: harmless(options.logger ?? consoleLogger()),
    clock: options.clock ?? systemClock,
  };
  if (settings.heartbeatMs * 2 > settings.leaseMs) {
    throw invalidOption(
      `Cannot keep leases of ${settings.leaseMs} ms with a heartbeat every ${settings.heartbeatMs} ms`,
      "leaseDuration must be at least twice heartbeatInterval; three times is usual.",
    );
  }
  return settings;
}

function checkConcurrency(value: number): number {
  if (Number.isInteger(value) && value >= 0 && value <= 100_000) return value;
  throw new DispatchError("invalid_concurrency", `Cannot run ${show(value)} jobs at once`);
}

function checkQueues(queues: readonly string[]): readonly string[] {
  if (!Array.isArray(queues) || queues.length === 0) {
    throw new DispatchError("invalid_queue", "Cannot work without queues: the list is empty", {
      hint: 'Name at least one, or leave it out for ["default"]; concurrency 0 runs nothing.',
    });
  }
  return [...new Set(queues.map(checkQueue))];
}

function positive(value: Duration, what: string): number {
  const ms = parseDuration(value, what);
  if (ms > 0) return ms;
  throw new DispatchError("invalid_duration", `Cannot use ${what}: it must be longer than 0 ms`);
}
