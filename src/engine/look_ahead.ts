/** Work for so long is claimed ahead of free slots. */
const HORIZON_MS = 50;
/** At most so many jobs wait in this process for a slot. */
const MAX_AHEAD = 1000;
/** Weight of the latest job in the average. */
const WEIGHT = 0.1;

/**
 * Decides how many jobs to claim beyond the free slots: those that will be finished within 50 ms,
 * at most 1,000, going by how long handlers took lately. Short jobs are then claimed in hundreds (a
 * round trip for each would cost more than the job), long ones not at all.
 *
 * Times are real also under a held clock: it is this machine that is measured.
 */
export class LookAhead {
  #averageMs: number | null = null;
  #endedSinceCheck = false;

  /** A handler that was called at `since` has ended. */
  note(since: number, now: number): void {
    const ms = Math.max(0, now - since); // the clock of the machine may have stepped back
    this.#averageMs = this.#averageMs === null
      ? ms
      : this.#averageMs + WEIGHT * (ms - this.#averageMs);
    this.#endedSinceCheck = true;
  }

  /** How many jobs to hold ready for so many slots. */
  size(slots: number): number {
    if (this.#averageMs === null) return 0;
    return Math.min(MAX_AHEAD, Math.floor(slots * HORIZON_MS / Math.max(this.#averageMs, 0.01)));
  }

  /** True where nothing ended since the last call: jobs became long, and what waits should not. */
  stalled(): boolean {
    const stalled = !this.#endedSinceCheck;
    this.#endedSinceCheck = false;
    if (stalled) this.#averageMs = null;
    return stalled;
  }
}
