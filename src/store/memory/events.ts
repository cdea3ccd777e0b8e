import type { EpochMs } from "../../core/clock.ts";
import { notFound, wrongState } from "../../core/errors.ts";
import { type EventRecord, eventResult, type NewEvent } from "../../core/event.ts";
import { withPrefix } from "../../core/id.ts";
import type { EventStore } from "../run_store.ts";
import { isFinished, type Mutable } from "./entry.ts";
import { type RunBook, type RunEntry, type Step, topicOf } from "./run_book.ts";
import type { MemoryState } from "./state.ts";

type KeptEvent = Mutable<EventRecord> & { readonly order: number };

/** The events of a memory store. */
export class MemoryEvents implements EventStore {
  readonly #state: MemoryState;
  readonly #book: RunBook;
  readonly #maxKept: number;
  /** Those that are kept, the oldest first. */
  readonly #events = new Map<string, KeptEvent>();
  /** The same by topic, or by run. */
  readonly #lists = new Map<string, Map<string, KeptEvent>>();
  readonly #idempotent = new Map<string, KeptEvent>();
  #order = 0;

  constructor(state: MemoryState, book: RunBook, maxKept: number) {
    this.#state = state;
    this.#book = book;
    this.#maxKept = maxKept;
    book.onGone = (jobId) => {
      for (const event of [...this.#lists.get(jobId)?.values() ?? []]) this.#drop(event);
    };
  }

  // deno-lint-ignore require-await -- async turns a throw into a rejection
  async publish(events: readonly NewEvent[]): Promise<EventRecord[]> {
    const now = this.#state.clock.now();
    for (const { jobId, id } of events) {
      if (jobId !== null && !this.#events.has(id)) this.#check(jobId);
    }
    return events.map((event) => ({ ...this.#publish(event, now) }));
  }

  // deno-lint-ignore require-await
  async prune(keepMs: number, limit: number): Promise<number> {
    const before = this.#state.clock.now() - keepMs;
    let pruned = 0;
    for (const event of this.#events.values()) {
      if (pruned >= limit || event.createdAt >= before) break;
      if (event.jobId !== null && this.#isUnfinished(event.jobId)) continue;
      this.#drop(event);
      pruned++;
    }
    return pruned;
  }

  /** The oldest kept event that ends a step's wait. */
  kept(run: RunEntry, { events, key }: Step): EventRecord | null {
    const startedAt = this.#state.jobs.get(run.jobId)!.job.createdAt;
    let oldest: KeptEvent | null = null;
    const look = (list: string, fits: (event: KeptEvent) => boolean) => {
      for (const event of this.#lists.get(list)?.values() ?? []) {
        if (oldest !== null && oldest.order <= event.order) return;
        if (!run.taken.has(event.id) && fits(event)) oldest = event;
      }
    };
    look(run.jobId, (event) => events.includes(event.name));
    for (const name of events) {
      look(topicOf(name, key), (event) => key !== null || event.createdAt >= startedAt);
    }
    return oldest;
  }

  #publish(event: NewEvent, now: EpochMs): KeptEvent {
    const known = this.#events.get(event.id) ?? this.#idempotent.get(idempotencyOf(event));
    if (known !== undefined) return known;
    const kept: KeptEvent = { ...event, createdAt: now, delivered: 0, order: ++this.#order };
    this.#events.set(kept.id, kept);
    const list = listOf(kept);
    this.#lists.set(list, (this.#lists.get(list) ?? new Map()).set(kept.id, kept));
    if (kept.idempotencyKey !== null) this.#idempotent.set(idempotencyOf(kept), kept);
    for (const [run, step] of this.#waiters(kept)) {
      const end = { state: "completed", result: eventResult(kept), eventId: kept.id } as const;
      this.#book.end(run, step, end, now);
      this.#book.wake(run.jobId, now);
      kept.delivered++;
    }
    if (this.#events.size > this.#maxKept) this.#drop(this.#events.values().next().value!);
    return kept;
  }

  /** A copy: the waits end while it is walked through. */
  #waiters({ jobId, name, key }: KeptEvent): [RunEntry, Step][] {
    const runs = this.#book;
    if (jobId === null) return [...runs.waitersOf(name, key)];
    const run = runs.find(jobId);
    const waits = [...run?.pending.values() ?? []]
      .filter((step) => step.state === "open" && step.events.includes(name))
      .sort((a, b) => a.position - b.position);
    return waits.length === 0 ? [] : [[run!, waits[0]]];
  }

  #check(jobId: string): void {
    const entry = this.#state.jobs.get(jobId);
    const id = withPrefix("run", jobId);
    if (entry === undefined) throw notFound("run", id);
    if (!isFinished(entry.job.state)) return;
    throw wrongState("send an event to", "run", id, entry.job.state, "a run that has not ended");
  }

  #isUnfinished(jobId: string): boolean {
    const entry = this.#state.jobs.get(jobId);
    return entry !== undefined && !isFinished(entry.job.state);
  }

  #drop(event: KeptEvent): void {
    this.#events.delete(event.id);
    const list = this.#lists.get(listOf(event));
    list?.delete(event.id);
    if (list?.size === 0) this.#lists.delete(listOf(event));
    if (event.idempotencyKey !== null) this.#idempotent.delete(idempotencyOf(event));
  }
}

function listOf({ jobId, name, key }: NewEvent): string {
  return jobId ?? topicOf(name, key);
}

function idempotencyOf({ jobId, name, idempotencyKey }: NewEvent): string {
  return idempotencyKey === null ? "" : JSON.stringify([jobId, name, idempotencyKey]);
}
