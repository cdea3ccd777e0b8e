import { yieldToEventLoop } from "../core/clock.ts";

/** After so long in microtasks the event loop gets a turn, whatever is ready. */
const TURN_MS = 8;

/** Lets timers and I/O have their turns between short jobs: heartbeats and the host's requests. */
export class Turns {
  readonly #onEnd: () => void;
  #last = Date.now();
  #taken = false;

  /** @param onEnd called when the event loop has had its turn */
  constructor(onEnd: () => void) {
    this.#onEnd = onEnd;
  }

  /** True while the event loop has its turn: nothing is started then. */
  get taken(): boolean {
    return this.#taken;
  }

  /** A job has ended: it is the event loop's turn if the last one was long ago. */
  note(now: number): void {
    if (Math.abs(now - this.#last) > TURN_MS && !this.#taken) void this.#take(); // clocks also step back
  }

  async #take(): Promise<void> {
    this.#taken = true;
    await yieldToEventLoop();
    this.#taken = false;
    this.#last = Date.now();
    this.#onEnd();
  }
}
