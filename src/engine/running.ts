import { type Clock, endsWithin } from "../core/clock.ts";
import type { AbortCode, Execution } from "./execution.ts";

/** What a worker runs at the moment. */
export class Running {
  /** By their jobs. */
  readonly #all = new Map<string, Execution>();
  #drained: (() => void) | null = null;

  get size(): number {
    return this.#all.size;
  }

  has(execution: Execution): boolean {
    return this.#all.get(execution.id) === execution;
  }

  /**
   * Adds one. Where its job runs already, a store that fell has forgotten the claim before, or its
   * lease ran out: that handler is told, and nobody waits for it any more.
   */
  add(execution: Execution): void {
    this.#all.get(execution.id)?.abort("lease_lost", "The job was given out again");
    this.#all.set(execution.id, execution);
  }

  delete(execution: Execution): void {
    this.#all.delete(execution.id);
    if (this.#all.size === 0) this.#drained?.();
  }

  [Symbol.iterator](): Iterator<Execution> {
    return this.#all.values();
  }

  /** Asks those that match to stop. */
  abort(matches: (execution: Execution) => boolean, code: AbortCode, reason: string): void {
    for (const execution of this) if (matches(execution)) execution.abort(code, reason);
  }

  /** Resolves when nothing runs, or after `ms`. */
  async drain(clock: Clock, ms: number): Promise<void> {
    if (this.#all.size === 0) return;
    const drained = new Promise<void>((resolve) => (this.#drained = resolve));
    await endsWithin(clock, ms, drained);
    this.#drained = null;
  }
}
