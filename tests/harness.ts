/**
 * What tests of the engine stand on: engines on one memory store under a clock that the test holds,
 * with a log that remembers. Leaving the scope of a rig stops its engines and fails on a timer that
 * one of them left behind.
 *
 *     await using rig = await startRig({ jobs: [Greet] });
 */

import { assertEquals } from "@std/assert";
import { type Clock, nextTurn, systemClock } from "../src/core/clock.ts";
import { type Duration, parseDuration } from "../src/core/duration.ts";
import { DispatchError, type ErrorCode } from "../src/core/errors.ts";
import { type Job, type JobState, toJob } from "../src/core/job.ts";
import { defineJob, type JobContext } from "../src/engine/definition.ts";
import type { AnyDefinition } from "../src/engine/definitions.ts";
import { Engine } from "../src/engine/engine.ts";
import { asyncAmbient } from "../src/extension/runtime.ts";
import type { EngineOptions } from "../src/engine/options.ts";
import type { Store } from "../src/store/store.ts";
import { memoryStore } from "../src/store/memory/store.ts";
import { heldClock } from "../src/testing/held_clock.ts";
import { CountingClock, RecordingLogger } from "./doubles.ts";

export { CountingClock, type LogLine, RecordingLogger } from "./doubles.ts";

/** One call of a store's method, as {@link intercept} sees it. */
export interface StoreCall {
  /** For instance `"jobs.claim"`. */
  readonly name: string;
  // deno-lint-ignore no-explicit-any -- the arguments of any method
  readonly args: any[];
}

/** Wraps a store: `around` sees every call and decides whether, when and how often it goes through. */
export function intercept(
  store: Store,
  around: (call: StoreCall, proceed: () => Promise<unknown>) => Promise<unknown>,
): Store {
  const wrap = <Part extends object>(part: Part, prefix: string): Part =>
    new Proxy(part, {
      get(target, key) {
        const value = Reflect.get(target, key);
        if (typeof value !== "function") return value;
        // deno-lint-ignore no-explicit-any
        return (...args: any[]) =>
          around({ name: prefix + String(key), args }, () => value.apply(target, args));
      },
    });
  return {
    ...wrap({ ...store }, ""),
    jobs: wrap(store.jobs, "jobs."),
    deadLetters: wrap(store.deadLetters, "deadLetters."),
    queues: wrap(store.queues, "queues."),
    runs: store.runs && wrap(store.runs, "runs."),
    events: store.events && wrap(store.events, "events."),
    ping: () => around({ name: "ping", args: [] }, () => store.ping()) as Promise<void>,
    onWake: store.onWake?.bind(store),
  };
}

/** Where the stores of rigs come from, and how many of their calls are under way. */
let openStore: (clock: Clock) => Store = (clock) => memoryStore({ clock });
let underWay = 0;
let isSlow = false;

/** Has rigs stand on other stores than those in memory: {@link turns} then waits for their answers. */
export function standOn(open: (clock: Clock) => Store): void {
  isSlow = true;
  openStore = (clock) =>
    intercept(open(clock), async (_, proceed) => {
      underWay++;
      try {
        return await proceed();
      } finally {
        underWay--;
      }
    });
}

/** How to start a rig: the engine's options, and what else a test may want to choose. */
export interface RigOptions extends EngineOptions {
  jobs?: readonly AnyDefinition[];
  /** Default: a memory store under the rig's clock, or what {@link standOn} says. */
  store?: (clock: Clock) => Store;
  /** Wraps the store for this engine only. */
  around?: Parameters<typeof intercept>[1];
  /** True lets time run by itself: for what a held clock cannot show. */
  realTime?: boolean;
}

export class Rig implements AsyncDisposable {
  readonly log = new RecordingLogger();
  readonly clock: CountingClock;
  readonly store: Store;
  readonly engines: Engine[] = [];
  readonly #held = heldClock();
  readonly #isOwn: boolean;

  constructor(options: RigOptions) {
    this.clock = new CountingClock(options.realTime ? systemClock : this.#held);
    this.#isOwn = options.store === undefined;
    this.store = options.store?.(this.clock) ?? openStore(this.clock);
  }

  /** The first engine. */
  get engine(): Engine {
    return this.engines[0];
  }

  /** Makes one more engine, without starting it. */
  make({ jobs = [], around: _, store: __, realTime: ___, ...options }: RigOptions = {}): Engine {
    const engine = new Engine({ logger: this.log, clock: this.clock, ...options }, asyncAmbient());
    engine.register(...jobs);
    this.engines.push(engine);
    return engine;
  }

  /** Starts one more engine on the same store: another process, as far as they know. */
  async add(options: RigOptions = {}): Promise<Engine> {
    const engine = this.make(options);
    const { around } = options;
    await engine.start(around === undefined ? this.store : intercept(this.store, around));
    return engine;
  }

  /** Moves the time. A store that is not in memory answers before it goes on. */
  async advance(duration: Duration): Promise<void> {
    const goal = this.clock.now() + parseDuration(duration, "time to advance");
    if (isSlow) {
      for (let due = this.clock.nextDue; due <= goal; due = this.clock.nextDue) {
        await this.#held.advance(Math.max(0, due - this.clock.now()));
        await turns(5);
      }
    }
    await this.#held.advance(Math.max(0, goal - this.clock.now()));
  }

  /** Stops an engine, moving the time as far as that takes. Returns the milliseconds that it took. */
  async stop(engine = this.engine): Promise<number> {
    const start = this.clock.now();
    let done = false;
    const stopping = engine.stop().finally(() => (done = true));
    for (let i = 0; i < 20 && !done; i++) await nextTurn();
    if (this.clock.held !== null) {
      for (let i = 0; i < 1000 && !done; i++) await this.advance(100);
      assertEquals(done, true, "stop() did not end within 100 s");
    }
    await stopping;
    return this.clock.now() - start;
  }

  /** Waits until the job is in the state. */
  async reaches(id: string, state: JobState): Promise<Job> {
    let job: Job | null = null;
    await until(async () => (job = await this.job(id))?.state === state, () => {
      return `${id} is ${job?.state}, not ${state} (${job?.lastError})`;
    });
    return job!;
  }

  /** Reads a job past any engine. */
  async job(id: string): Promise<Job | null> {
    const [record] = await this.store.jobs.get([id]);
    return record === null ? null : toJob(record);
  }

  /** Waits until no job is pending, retrying or running. */
  async drained(): Promise<void> {
    await until(async () => {
      const { pending, retrying, running } = await this.store.jobs.counts();
      return pending + retrying + running === 0;
    }, () => "jobs are left");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const engine of this.engines) await this.stop(engine);
    while (underWay > 0) await nextTurn();
    if (this.#isOwn) await this.store.close();
    for (let i = 0; i < 3; i++) await nextTurn();
    assertEquals(this.clock.armed, 0, "timers were left behind");
  }
}

/** Makes a rig with one engine, started. */
export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const rig = new Rig(options);
  await rig.add(options);
  return rig;
}

/** Gives the event loop turns until the condition holds; time does not pass by it. */
export async function until(
  condition: () => unknown,
  otherwise: () => string = () => "the condition never held",
  turns = 20_000,
): Promise<void> {
  for (let i = 0; i < turns; i++) {
    if (await condition()) return;
    do await nextTurn(); while (underWay > 0);
  }
  throw new Error(`gave up after ${turns} turns: ${otherwise()}`);
}

/** Gives everything that is ready a chance to happen. */
export async function turns(count = 20): Promise<void> {
  for (let i = 0; i < count; i++) {
    do await nextTurn(); while (underWay > 0);
  }
}

/** A promise with its handles. */
export interface Gate<T = void> {
  readonly promise: Promise<T>;
  open(value: T): void;
}

export function gate<T = void>(): Gate<T> {
  const { promise, resolve } = Promise.withResolvers<T>();
  return { promise, open: resolve };
}

/** A job whose attempts the test ends by hand. */
export function heldJob(name = "held", options: Partial<Parameters<typeof defineJob>[0]> = {}) {
  const attempts: { job: JobContext; input: unknown; end: Gate<unknown> }[] = [];
  const definition = defineJob({
    name,
    ...options,
    input: undefined,
    handler: (input: unknown, job) => {
      const end = gate<unknown>();
      attempts.push({ job, input, end });
      return end.promise;
    },
  });
  return {
    definition,
    attempts,
    /** Waits until so many attempts have been started, and returns the last of them. */
    async started(count = 1) {
      await until(() => attempts.length >= count, () => `${attempts.length} of ${count} started`);
      return attempts[count - 1];
    },
    /** Lets every attempt end that was started. */
    endAll: () => attempts.forEach(({ end }) => end.open(undefined)),
  };
}

/** A promise that rejects when the signal aborts, as `fetch` does. */
export function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

/** The code of the DispatchError that the call rejects with or throws. */
export async function codeOf(call: () => unknown): Promise<ErrorCode> {
  return (await errorOf(call)).code;
}

/** The DispatchError that the call rejects with or throws. */
export async function errorOf(call: () => unknown): Promise<DispatchError> {
  let result: unknown;
  try {
    result = await call();
  } catch (thrown) {
    if (thrown instanceof DispatchError) return thrown;
    throw new Error("expected a DispatchError", { cause: thrown });
  }
  throw new Error(`expected a DispatchError, got ${JSON.stringify(result)}`);
}

/** A job that does nothing. */
export const Noop = defineJob({ name: "noop", handler: () => {} });

/** Makes `count` jobs of {@link Noop} for `enqueueMany`. */
export function noops(count: number, options?: Record<string, unknown>) {
  return Array.from({ length: count }, () => ({ job: Noop, input: undefined, options }));
}
