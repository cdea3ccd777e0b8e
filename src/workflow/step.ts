import { type Duration, type Moment, parseDuration, parseMoment } from "../core/duration.ts";
import type { Scope } from "../core/job.ts";
import type { Json } from "../core/json.ts";
import type { WorkflowDefinition } from "./definition.ts";
import { LazyAbort } from "./lazy_abort.ts";
import type { Memo } from "./memo.ts";
import type { Undo } from "./saga.ts";
import type { StepContext } from "./steps/attempt.ts";
import { childStep, type FanOutOptions, fanOutSteps, spawnStep } from "./steps/child.ts";
import { runStep, type StepOptions } from "./steps/run.ts";
import { emitStep, setStep, valueStep } from "./steps/value.ts";
import { eventStep, sleepStep, type WaitOptions } from "./steps/wait.ts";

/** A workflow, or the name of one. */
export type WorkflowOf<Input, Output> = WorkflowDefinition<Input, Output> | string;

/**
 * What a workflow does, it does by steps. Each is remembered, together with its result or its
 * failure, and not done again. A name that is used again is numbered: `"charge"`, `"charge#2"`. Steps
 * may run side by side, with `Promise.all` and its siblings. A step that has failed for good rejects
 * with a {@link DispatchError} of code `step_failed`, whose `cause` is the failure.
 */
export interface Step {
  /** `run_…`. */
  readonly runId: string;
  /** Tenant of the run. */
  readonly scope: Scope;
  /** Aborts when the run is to stop. A step's function gets one of its own. */
  readonly signal: AbortSignal;
  /**
   * Does something, at least once, and remembers what it returned, which must be JSON. While it waits
   * for a retry the run holds nothing.
   *
   * @throws {DispatchError} `step_failed`, `invalid_step`, `nested_step`, `step_after_end`
   */
  run<Result>(
    name: string,
    work: (context: StepContext) => Result,
    options?: StepOptions<Awaited<Result>>,
  ): Promise<Awaited<Result>>;
  /** Does several things side by side, each as a step of its own under the one name. */
  parallel<Result>(
    name: string,
    tasks: readonly ((context: StepContext) => Result)[],
    options?: StepOptions<Awaited<Result>>,
  ): Promise<Awaited<Result>[]>;
  /** Sleeps, from the first time on that it is called: a restart does not begin anew. */
  sleep(name: string, duration: Duration): Promise<void>;
  /** Sleeps until a moment. */
  sleepUntil(name: string, moment: Moment): Promise<void>;
  /**
   * Waits for an event of this name and returns its payload; null after the timeout. An event that
   * came before the wait counts as well, once.
   */
  waitForEvent<Payload = Json>(name: string, options?: WaitOptions): Promise<Payload | null>;
  /** Waits for the first of several events; null after the timeout. */
  waitForAny<Payload = Json>(
    names: readonly string[],
    options?: WaitOptions,
  ): Promise<{ name: string; payload: Payload } | null>;
  /** Waits for one event of each name and returns the payloads by name; null after the timeout. */
  waitForAll<Payload = Json>(
    names: readonly string[],
    options?: WaitOptions,
  ): Promise<Record<string, Payload> | null>;
  /** Runs another workflow and returns its output. If it ends in any other way, this step fails. */
  runChild<Input, Output>(
    name: string,
    workflow: WorkflowOf<Input, Output>,
    input: Input,
  ): Promise<Output>;
  /** Starts another workflow and returns the id of its run. It is cancelled with this one. */
  spawnChild<Input>(
    name: string,
    workflow: WorkflowOf<Input, unknown>,
    input: Input,
  ): Promise<string>;
  /**
   * Runs a workflow for each input and returns the outputs in the same order. When one fails this
   * fails, and no further ones are started.
   */
  fanOut<Input, Output>(
    name: string,
    workflow: WorkflowOf<Input, Output>,
    inputs: readonly Input[],
    options?: FanOutOptions,
  ): Promise<Output[]>;
  /** The time, remembered. */
  now(): Promise<Date>;
  /** A number from 0 up to 1, remembered. */
  random(): Promise<number>;
  /** A UUID, remembered. */
  id(): Promise<string>;
  /** Sets a value of the run that others can ask for: `engine.runs.values(id)`. */
  set(key: string, value: unknown): Promise<void>;
  /** Adds a message to the run's stream: `engine.runs.messages(id)`. */
  emit(message: unknown): Promise<void>;
}

/** The steps of one slice, and what stops those whose results nobody waits for any more. */
export function makeStep(
  memo: Memo,
  onUndo: (undo: Undo) => void = () => {},
): { step: Step; losers: LazyAbort } {
  const losers = new LazyAbort();
  const run = (name: string, work: (context: StepContext) => unknown, options: object = {}) =>
    runStep(memo, losers, onUndo, name, work, options) as Promise<never>;
  const step: Step = {
    runId: memo.host.runId,
    scope: memo.host.scope,
    signal: memo.host.signal,
    run,
    parallel: (name, tasks, options) =>
      Promise.all(tasks.map((task) => run(name, task, options))) as Promise<never[]>,
    async sleep(name, duration) {
      await sleepStep(memo, name, { delayMs: parseDuration(duration, `the sleep ${name}`) });
    },
    async sleepUntil(name, moment) {
      await sleepStep(memo, name, { until: parseMoment(moment, `the end of the sleep ${name}`) });
    },
    async waitForEvent(name, options = {}) {
      const event = await eventStep(memo, [name], options);
      return event === null ? null : (event as { payload: never }).payload;
    },
    waitForAny: (names, options = {}) => eventStep(memo, names, options) as Promise<never>,
    async waitForAll(names, options = {}) {
      const events = await Promise.all(names.map((name) => eventStep(memo, [name], options)));
      if (events.includes(null)) return null;
      const entries = names.map((name, i) => [name, (events[i] as { payload: never }).payload]);
      return Object.fromEntries(entries);
    },
    runChild: (name, workflow, input) => childStep(memo, name, workflow, input) as Promise<never>,
    spawnChild: (name, workflow, input) => spawnStep(memo, name, workflow, input) as Promise<never>,
    fanOut: (name, workflow, inputs, options = {}) =>
      fanOutSteps(memo, name, workflow, inputs, options) as Promise<never[]>,
    now: async () =>
      new Date(await valueStep(memo, "now", "now", () => memo.host.clock.now()) as number),
    random: () => valueStep(memo, "random", "random", Math.random) as Promise<number>,
    id: () => valueStep(memo, "id", "id", () => crypto.randomUUID()) as Promise<string>,
    set: async (key, value) => void await setStep(memo, key, value),
    emit: async (message) => void await emitStep(memo, message),
  };
  return { step: harmless(step), losers };
}

/** A failure that nobody awaits is remembered all the same: it must not take the worker down. */
function harmless(step: Step): Step {
  const harmlessStep: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(step)) {
    harmlessStep[name] = typeof member !== "function" ? member : (...args: never[]) => {
      const promise: Promise<unknown> = (member as (...args: never[]) => Promise<unknown>)(...args);
      promise.catch(() => {});
      return promise;
    };
  }
  return harmlessStep as unknown as Step;
}
