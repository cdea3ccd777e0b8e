import { type Duration, parseDuration } from "./duration.ts";
import { invalidOption, show } from "./errors.ts";

/**
 * How long to wait before a retry: takes the number of the failure (1 after the first) and returns
 * milliseconds. Whatever it returns is clamped to 0 up to 30 days, so that no strategy can overflow.
 */
export type Backoff = (failure: number) => number;

const MAX_DELAY_MS = 30 * 864e5;

/** What {@link exponential} and {@link linear} take. */
export interface BackoffOptions {
  /** The delay after the first failure. Default `"1s"`. */
  base?: Duration;
  /** The longest delay. Default `"10m"`. */
  max?: Duration;
}

/**
 * Doubles (or multiplies by `factor`) from `base` up to `max`: 1 s, 2 s, 4 s, 8 s, …
 *
 * @throws {DispatchError} `invalid_duration`, `invalid_option` for a factor that is not above 0
 *
 * @example
 * ```ts
 * import { exponential, jittered } from "@dispatch/dispatch";
 *
 * const backoff = jittered(exponential({ base: "500ms", max: "5m", factor: 3 }));
 * ```
 */
export function exponential(
  options: BackoffOptions & { /** Default 2. */ factor?: number } = {},
): Backoff {
  const base = parseDuration(options.base ?? "1s", "backoff base");
  const max = parseDuration(options.max ?? "10m", "backoff max");
  const factor = options.factor ?? 2;
  if (!Number.isFinite(factor) || factor <= 0) {
    throw invalidOption(
      `Cannot use ${show(factor)} as a backoff factor`,
      "Expected a number above 0; 2 doubles the delay each time.",
    );
  }
  // Infinity for a large exponent is fine: min() brings it back. But 0 times it is not a number.
  return (failure) => base === 0 ? 0 : Math.min(max, base * factor ** (failure - 1));
}

/**
 * Adds `base` with each failure, up to `max`: 1 s, 2 s, 3 s, …
 *
 * @throws {DispatchError} `invalid_duration`
 */
export function linear(options: BackoffOptions = {}): Backoff {
  const base = parseDuration(options.base ?? "1s", "backoff base");
  const max = parseDuration(options.max ?? "10m", "backoff max");
  return (failure) => Math.min(max, base * failure);
}

/**
 * The same delay after each failure.
 *
 * @throws {DispatchError} `invalid_duration`
 */
export function constant(delay: Duration = "5s"): Backoff {
  const ms = parseDuration(delay, "backoff delay");
  return () => ms;
}

/**
 * Spreads another strategy so that jobs that failed together do not come back together. `full`
 * takes anything from 0 to the delay, `equal` from half of it to all of it.
 * Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
 */
export function jittered(
  strategy: Backoff,
  kind: "full" | "equal" = "full",
  random: () => number = Math.random,
): Backoff {
  const kept = kind === "equal" ? 0.5 : 0;
  return (failure) => {
    const delay = clampDelay(strategy(failure));
    return delay * (kept + (1 - kept) * random());
  };
}

/** Brings what a strategy returned into range: whole milliseconds, 0 to 30 days; not a number is 1 s. */
export function clampDelay(delay: number): number {
  if (typeof delay !== "number" || Number.isNaN(delay)) return 1000;
  return Math.round(Math.min(MAX_DELAY_MS, Math.max(0, delay)));
}

/** What a job uses that names no strategy of its own: 1 s doubling up to 10 min, full jitter. */
export const defaultBackoff: Backoff = jittered(exponential());
