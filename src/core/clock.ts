/** Milliseconds since 1970-01-01T00:00Z. */
export type EpochMs = number;

/**
 * Where the engine and the memory store get the time from. Production uses {@link systemClock};
 * tests hold the time with `heldClock()` from `@dispatch/dispatch/testing`.
 */
export interface Clock {
  /** The time now. */
  now(): EpochMs;
  /** The time at which a test holds the clock, or `null` where time runs by itself. */
  readonly held: EpochMs | null;
  /** Calls `run` once, after at least `ms` milliseconds, unless the returned function is called first. */
  after(ms: number, run: () => void): () => void;
}

/** Above this a timer of the runtime fires at once instead of late (its delay is a signed 32-bit number). */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The time of the machine. */
export const systemClock: Clock = {
  now: Date.now,
  held: null,
  after(ms, run) {
    let timer: ReturnType<typeof setTimeout>;
    const arm = (left: number): void => {
      timer = left > MAX_TIMER_MS
        ? setTimeout(() => arm(left - MAX_TIMER_MS), MAX_TIMER_MS)
        : setTimeout(run, Math.max(0, left));
    };
    arm(ms);
    return () => clearTimeout(timer);
  },
};

/** Resolves after `ms`, or as soon as `signal` aborts. It never rejects. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const done = () => {
      cancel();
      signal?.removeEventListener("abort", done);
      resolve();
    };
    const cancel = clock.after(ms, done);
    signal?.addEventListener("abort", done);
  });
}

/**
 * Waits for work to end, however it does, but no longer than `ms`: for what must not be held up by
 * someone who never answers. Says whether it ended.
 */
export async function endsWithin(
  clock: Clock,
  ms: number,
  work: Promise<unknown> | null | undefined,
): Promise<boolean> {
  const ended = new AbortController();
  const end = () => ended.abort();
  Promise.resolve(work).then(end, end);
  await sleep(clock, ms, ended.signal);
  return ended.signal.aborted;
}

const { setImmediate } = globalThis as { setImmediate?: (run: () => void) => unknown };
const immediate = setImmediate ?? ((run: () => void) => setTimeout(run, 0));

/** One turn of the event loop: timers run, sockets may have to wait (see {@link yieldToEventLoop}). */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => void immediate(resolve));
}

/** As long as something is ready at once, Deno looks at its sockets with every 61st turn alone. */
const TURNS = setImmediate === undefined ? 1 : 64; // a timeout waits for sockets

/**
 * Lets timers and I/O run. A backlog of jobs that never wait would otherwise keep the event loop
 * in microtasks, where no heartbeat fires and no answer is read. Measured: 0.15 ms, in Node up to 0.4;
 * a zero timeout takes 2.
 */
export function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => {
    let left = TURNS;
    const turn = () => --left > 0 ? immediate(turn) : resolve();
    immediate(turn);
  });
}
