import type { Clock } from "../core/clock.ts";

/**
 * Runs a round again and again: the next one starts `ms` after the last one began, or when it has
 * ended, whichever is later. A tenth of the interval is random, so that processes that started
 * together do not stay in step. Returns how to stop, which waits for a round under way.
 */
export function every(clock: Clock, ms: number, round: () => Promise<void>): () => Promise<void> {
  let cancel = () => {};
  let stopped = false;
  let running: Promise<void> = Promise.resolve();
  const arm = (delay: number): void => {
    if (stopped) return;
    cancel = clock.after(delay, () => {
      const start = clock.now();
      running = round().then(() => arm(Math.max(0, start + jittered() - clock.now())));
    });
  };
  const jittered = () => ms * (0.95 + 0.1 * Math.random());
  arm(jittered());
  return () => {
    stopped = true;
    cancel();
    return running;
  };
}
