import { Fifo } from "../core/fifo.ts";
import type { JobHook, Lifecycle, LifecycleEvent } from "./lifecycle.ts";

/** Which events {@link Engine.subscribe} yields. What is left out does not narrow. */
export interface SubscribeFilter {
  /** Only events of these kinds, e.g. `["onJobCompleted"]`. */
  types?: readonly JobHook[];
  /** Only events of this job. */
  jobId?: string;
  /** Only events of jobs of this name. */
  name?: string;
  /** Only events of jobs of this queue. */
  queue?: string;
}

/** A reader that falls further behind than this loses the oldest events: nobody's memory is endless. */
const MAX_BEHIND = 10_000;

/** Yields events from the moment of the call until the reader leaves or the engine stops. */
export function subscribe(
  lifecycle: Lifecycle,
  filter: SubscribeFilter,
  stopped: AbortSignal,
): AsyncIterableIterator<LifecycleEvent> {
  const events = new Fifo<LifecycleEvent>();
  const wakers: (() => void)[] = []; // several reads may be open at once
  const wake = () => {
    for (const waker of wakers.splice(0)) waker();
  };
  const unlisten = lifecycle.listen((event) => {
    if (filter.types !== undefined && !filter.types.includes(event.type)) return;
    if (filter.jobId !== undefined && event.job.id !== filter.jobId) return;
    if (filter.name !== undefined && event.job.name !== filter.name) return;
    if (filter.queue !== undefined && event.job.queue !== filter.queue) return;
    if (events.size >= MAX_BEHIND) events.shift();
    events.push(event);
    wake();
  });
  let left = false;
  const leave = () => {
    left = true;
    unlisten();
    stopped.removeEventListener("abort", leave);
    wake();
  };
  if (stopped.aborted) leave();
  else stopped.addEventListener("abort", leave);
  return {
    async next(): Promise<IteratorResult<LifecycleEvent>> {
      while (events.size === 0 && !left) {
        await new Promise<void>((resolve) => void wakers.push(resolve));
      }
      const event = events.shift();
      return event === undefined ? { done: true, value: undefined } : { done: false, value: event };
    },
    return(): Promise<IteratorResult<LifecycleEvent>> {
      events.remove(() => false);
      leave();
      return Promise.resolve({ done: true, value: undefined });
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
