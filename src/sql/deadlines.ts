/** When a statement is given up. */
export interface Deadline {
  /** As `performance.now()` counts. */
  readonly at: number;
  /** Called then, unless it was deleted. */
  readonly onTime: () => void;
}

/**
 * The statements of one driver: with the same time limit, those that began first are over first. One
 * timer serves all; to set and to clear one for each took a quarter of what an enqueue costs here.
 */
export class Deadlines {
  /** How many milliseconds a statement may take. */
  readonly ms: number;
  readonly #open = new Set<Deadline>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(ms: number) {
    this.ms = ms;
  }

  /** Adds one, that begins now. */
  add(onTime: () => void): Deadline {
    const deadline = { at: performance.now() + this.ms, onTime };
    this.#open.add(deadline);
    if (this.#timer === undefined && !this.#closed) this.#arm(this.ms);
    return deadline;
  }

  /** Forgets one. */
  delete(deadline: Deadline): void {
    this.#open.delete(deadline);
  }

  /** Ends the timer, when no statement is under way any more. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      for (const deadline of this.#open) {
        const left = deadline.at - performance.now();
        if (left > 0) return this.#arm(left);
        this.#open.delete(deadline);
        deadline.onTime();
      }
    }, ms);
  }
}
