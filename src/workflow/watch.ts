import type { Clock } from "../core/clock.ts";
import type { Call } from "./order.ts";

/** How often open steps are looked after while others are under way. */
const LOOK_MS = 5000;

interface Open {
  readonly call: Call;
  /** When its time has come, by the clock of this machine; null is never. */
  readonly dueAt: number | null;
  readonly again: () => void;
}

/**
 * The open steps of a slice. A run whose steps are all open is parked, and the store knows when it is
 * due; only while a step is under way beside them does a timer look after them.
 */
export class Watch {
  readonly #clock: Clock;
  readonly #look: () => void;
  readonly #open = new Map<number, Open>();
  #cancel: (() => void) | null = null;
  #firesAt = Infinity;
  #stopped = false;

  /** @param look called at intervals while a step waits for something else than a moment */
  constructor(clock: Clock, look: () => void) {
    this.#clock = clock;
    this.#look = look;
  }

  add(call: Call, leftMs: number | null, again: () => void): void {
    const dueAt = leftMs === null ? null : this.#clock.now() + leftMs;
    this.#open.set(call.position, { call, dueAt, again });
    if (this.#cancel !== null) this.start();
  }

  /** Takes out a step that has ended; null for one that is not here. */
  take(position: number): Call | null {
    const open = this.#open.get(position);
    this.#open.delete(position);
    return open?.call ?? null;
  }

  timed(): number[] {
    return [...this.#open.values()].filter(({ dueAt }) => dueAt !== null)
      .map(({ call }) => call.position);
  }

  /** Has a timer look after them. */
  start(): void {
    if (this.#open.size === 0 || this.#stopped) return;
    const now = this.#clock.now();
    let at = now + LOOK_MS;
    for (const { dueAt } of this.#open.values()) if (dueAt !== null) at = Math.min(at, dueAt);
    if (this.#cancel !== null && this.#firesAt <= at) return;
    this.#cancel?.();
    this.#firesAt = at;
    this.#cancel = this.#clock.after(at - now, () => {
      this.#cancel = null;
      this.#fire();
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancel = null;
  }

  #fire(): void {
    const now = this.#clock.now();
    const due = [...this.#open.values()].filter(({ dueAt }) => dueAt !== null && dueAt <= now);
    for (const { call, again } of due) {
      this.#open.delete(call.position);
      again();
    }
    if ([...this.#open.values()].some(({ call }) => WATCHED.has(call.kind))) this.#look();
    this.start();
  }
}

/** Kinds of steps that something else may end. */
const WATCHED: ReadonlySet<string> = new Set(["event", "child"]);
