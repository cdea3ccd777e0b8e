import { type Clock, endsWithin } from "../core/clock.ts";
import type { AbortCode, Execution } from "./execution.ts";

/** What a worker runs at the moment. */
export class Running {
  readonly #all = new Set<Execution>();
  #drained: (() => void) | null = null;

  get size(): number {
    return this.#all.size;
  }

  has(execution: Execution): boolean {
    return this.#all.has(execution);
  }

  add(execution: Execution): void {
    this.#all.add(execution);
  }

  delete(execution: Execution): void {
    this.#all.delete(execution);
    if (this.#all.size === 0) this.#drained?.();
  }

  [Symbol.iterator](): Iterator<Execution> {
    return this.#all.values();
  }

  /** Asks those that match to stop. */
  abort(matches: (execution: Execution) => boolean, code: AbortCode, reason: string): void {
    for (const execution of this.#all) if (matches(execution)) execution.abort(code, reason);
  }

  /** Resolves when nothing runs, or after `ms`. */
  async drain(clock: Clock, ms: number): Promise<void> {
    if (this.#all.size === 0) return;
    const drained = new Promise<void>((resolve) => (this.#drained = resolve));
    await endsWithin(clock, ms, drained);
    this.#drained = null;
  }
}
