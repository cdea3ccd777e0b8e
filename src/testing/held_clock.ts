import { type Clock, type EpochMs, nextTurn } from "../core/clock.ts";
import { type Duration, parseDuration } from "../core/duration.ts";

/** A clock whose time stands still until a test moves it. */
export interface HeldClock extends Clock {
  /** The time at which it stands. */
  readonly held: EpochMs;
  /**
   * Moves time forward and calls what becomes due on the way, each at its own moment and in the
   * order of these. Between two timers promises get their turn, so that a loop that sleeps, works
   * and sleeps again is run through as often as it fits in. `advance(0)` calls what is due already.
   *
   * Rejects with what a timer throws.
   *
   * @throws {DispatchError} `invalid_duration`
   */
  advance(duration: Duration): Promise<void>;
}

interface Timer {
  readonly at: EpochMs;
  readonly run: () => void;
}

/**
 * Gives promises their turn. What yields to the event loop itself on its way to its next timer needs
 * more turns than one.
 */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await nextTurn();
}

/**
 * A {@link HeldClock} that starts at `start`, by default 2026-01-01T00:00Z. Give it to a store and
 * an engine, and no test has to wait.
 *
 * @example
 * ```ts
 * import { heldClock } from "@dispatch/dispatch/testing";
 *
 * const clock = heldClock(new Date("2026-03-29T00:59:00Z"));
 * clock.after(60_000, () => console.log("one o'clock"));
 * await clock.advance("1m");
 * ```
 */
export function heldClock(start: Date | number = Date.UTC(2026, 0, 1)): HeldClock {
  let now = Number(start);
  /** Where all calls of `advance()` up to now lead: calls that overlap add up. */
  let goal = now;
  const timers = new Set<Timer>(); // in the order of arming, which decides between equal moments

  const firstDue = (until: EpochMs): Timer | null => {
    let first: Timer | null = null;
    for (const timer of timers) {
      if (timer.at <= until && (first === null || timer.at < first.at)) first = timer;
    }
    return first;
  };

  return {
    get held() {
      return now;
    },
    now: () => now,
    after(ms, run) {
      const timer = { at: now + Math.max(0, ms), run };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    async advance(duration) {
      const until = goal += parseDuration(duration, "time to advance");
      await settle();
      for (let timer = firstDue(until); timer !== null; timer = firstDue(until)) {
        timers.delete(timer);
        now = Math.max(now, timer.at);
        timer.run();
        await settle();
      }
      now = Math.max(now, until);
    },
  };
}
