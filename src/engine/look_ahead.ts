/** Work for so long is claimed ahead of free slots. */
const HORIZON_MS = 50;
/** At most so many jobs wait in this process for a slot. */
const MAX_AHEAD = 3000;
/** Weight of the latest job in the average. */
const WEIGHT = 0.1;
/** An average says little of many more jobs than it was taken of. */
const TRUST = 20;

/**
 * Decides how many jobs to claim beyond the free slots: those that will be finished within 50 ms,
 * at most 3,000, going by how long handlers took lately; after a start more with each that has ended.
 * Short jobs are then claimed in hundreds (a round trip for each would cost more than the job), long
 * ones not at all.
 *
 * Times are real also under a held clock: it is this machine that is measured.
 */
export class LookAhead {
  readonly #slots: number;
  #averageMs: number | null = null;
  #measured = 0;
  #endedSinceCheck = false;

  /** @param slots jobs that may run at once */
  constructor(slots: number) {
    this.#slots = slots;
  }

  /** A handler that was called at `since` has ended. */
  note(since: number, now: number): void {
    const ms = Math.max(0, now - since); // the clock of the machine may have stepped back
    this.#averageMs = this.#averageMs === null
      ? ms
      : this.#averageMs + WEIGHT * (ms - this.#averageMs);
    this.#measured++;
    this.#endedSinceCheck = true;
  }

  /**
   * How many jobs to claim now: free slots and look-ahead, less what is already here. At most half of
   * the look-ahead at once, so that the next claim can be under way while that half is run.
   *
   * @param running jobs that run
   * @param ahead jobs that wait for a slot, or are about to
   * @param unsettled jobs that have ended and are not yet written
   */
  room(running: number, ahead: number, unsettled: number): number {
    const size = this.#size();
    const free = this.#slots - running;
    // Between two jobs slots are free for a moment: a claim for those alone would be a small one.
    if (ahead >= free && ahead * 2 > size) return 0;
    // What is not settled stays within bounds also where the store cannot keep up.
    const budget = Math.floor(1.5 * size) + 2 * this.#slots - ahead - unsettled;
    const room = Math.min(budget, free + size - ahead, Math.max(free, size >> 1));
    // A small claim costs almost what a large one does, and while others run there is time for that.
    return room < size >> 2 && ahead + unsettled > 0 ? 0 : Math.max(0, room);
  }

  #size(): number {
    if (this.#averageMs === null) return 0;
    return Math.min(
      MAX_AHEAD,
      TRUST * this.#measured,
      Math.floor(this.#slots * HORIZON_MS / Math.max(this.#averageMs, 0.01)),
    );
  }

  /** True where nothing ended since the last call: jobs became long, and what waits should not. */
  stalled(): boolean {
    const stalled = !this.#endedSinceCheck;
    this.#endedSinceCheck = false;
    if (stalled) {
      this.#averageMs = null;
      this.#measured = 0;
    }
    return stalled;
  }
}
