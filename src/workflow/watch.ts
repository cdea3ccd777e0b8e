import type { SliceHost } from "./host.ts";
import type { Call } from "./order.ts";

/** How often open steps are looked after while others are under way, where no hint comes. */
const LOOK_MS = 5000;
/** However many hints come: at most once in that time. */
const PAUSE_MS = 200;

interface Open {
  readonly call: Call;
  /** When its time has come, by the clock of this machine; null is never. */
  readonly dueAt: number | null;
  readonly again: () => void;
}

/**
 * The open steps of a slice. A run whose steps are all open is parked, and the store knows when it is
 * due; only while a step is under way beside them does a timer look after them, or a hint.
 */
export class Watch {
  readonly #host: Pick<SliceHost, "clock" | "onHint">;
  readonly #look: () => void;
  readonly #open = new Map<number, Open>();
  #cancel: (() => void) | null = null;
  #firesAt = Infinity;
  #lookedAt = -Infinity;
  #ignoreHints: (() => void) | null = null;
  #stopped = false;

  /** @param look called now and then while a step waits for something else than a moment */
  constructor(host: Pick<SliceHost, "clock" | "onHint">, look: () => void) {
    this.#host = host;
    this.#look = look;
  }

  add(call: Call, leftMs: number | null, again: () => void): void {
    const dueAt = leftMs === null ? null : this.#host.clock.now() + leftMs;
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

  /** Has a timer, and hints, look after them. */
  start(): void {
    if (this.#open.size === 0 || this.#stopped) return;
    if (this.#isWatched) this.#ignoreHints ??= this.#host.onHint(() => this.#hinted());
    let at = this.#host.clock.now() + LOOK_MS;
    for (const { dueAt } of this.#open.values()) if (dueAt !== null) at = Math.min(at, dueAt);
    this.#arm(at);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancel = null;
    this.#ignoreHints?.();
    this.#ignoreHints = null;
  }

  get #isWatched(): boolean {
    return [...this.#open.values()].some(({ call }) => WATCHED.has(call.kind));
  }

  /** Hints come for whatever is new in a queue: a storm of them is one look after a pause. */
  #hinted(): void {
    if (this.#cancel !== null) this.#arm(this.#lookedAt + PAUSE_MS);
  }

  #arm(at: number): void {
    if (this.#cancel !== null && this.#firesAt <= at) return;
    this.#cancel?.();
    this.#firesAt = at;
    this.#cancel = this.#host.clock.after(Math.max(0, at - this.#host.clock.now()), () => {
      this.#cancel = null;
      this.#fire();
    });
  }

  #fire(): void {
    const now = this.#host.clock.now();
    const due = [...this.#open.values()].filter(({ dueAt }) => dueAt !== null && dueAt <= now);
    for (const { call, again } of due) {
      this.#open.delete(call.position);
      again();
    }
    if (this.#isWatched) {
      this.#lookedAt = now;
      this.#look();
    }
    this.start();
  }
}

/** Kinds of steps that something else may end. */
const WATCHED: ReadonlySet<string> = new Set(["event", "child"]);
