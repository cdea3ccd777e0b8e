import { sleep } from "../core/clock.ts";
import { DispatchError } from "../core/errors.ts";
import type { Accepted, Checkpoint } from "../core/run.ts";
import type { StepStatus, StepWait, StepWrite } from "../store/store.ts";
import type { SliceHost } from "./host.ts";

type StepFields = Omit<StepWrite, "lease" | "accepted">;
type WaitFields = Omit<StepWait, "lease" | "accepted">;

/** After so many refusals in a row a write is given up: the run's lease is released. */
const MAX_TRIES = 8;

/** Ends a slice whose writes the store does not take: what it did since is done again. */
export class WriteRefused extends Error {
  /** True where another worker owns the run now. */
  readonly lost: boolean;

  constructor(lost: boolean, cause?: unknown) {
    super(lost ? "The lease is lost" : "The store refuses what a step has done", { cause });
    this.lost = lost;
  }
}

/**
 * Writes what steps did. A write that fails is tried again, since the step is done. Each carries the
 * results of earlier steps that were given to the code and that no write has told of yet: only then
 * does the next slice give them in the same order.
 */
export class Recorder {
  readonly #host: SliceHost;
  #accepted: Accepted[] = [];

  constructor(host: SliceHost) {
    this.#host = host;
  }

  /** Results that were given to the code and are not written yet. */
  get accepted(): readonly Accepted[] {
    return this.#accepted;
  }

  /** Notes a result that something else than this slice has written. */
  accept(accepted: Accepted): void {
    this.#accepted.push(accepted);
  }

  /** @throws {WriteRefused} */
  async save(step: StepFields): Promise<void> {
    const status = await this.#try((accepted) => this.#host.save({ ...step, accepted }), isHeld);
    // Another write has ended the step: what it wrote is what counts, and is not known here.
    if (status === "kept" && step.child === undefined) throw new WriteRefused(false);
  }

  /** @throws {WriteRefused} */
  async wait(wait: WaitFields): Promise<Checkpoint> {
    return (await this.#try((accepted) => this.#host.wait({ ...wait, accepted }), notNull))!;
  }

  async #try<Answer>(
    write: (accepted: readonly Accepted[]) => Promise<Answer>,
    held: (answer: Answer) => boolean,
  ): Promise<Answer> {
    const { clock, signal } = this.#host;
    for (let tries = 1;; tries++) {
      const accepted = this.#accepted;
      const count = accepted.length;
      try {
        const answer = await write(count === 0 ? NOTHING : [...accepted]);
        if (!held(answer)) throw new WriteRefused(true);
        // Others may have been added meanwhile, or written by a write beside this one.
        if (count > 0 && accepted === this.#accepted) this.#accepted = accepted.slice(count);
        return answer;
      } catch (error) {
        if (error instanceof WriteRefused) throw error;
        const outage = error instanceof DispatchError && error.code === "store_unreachable";
        const stopped = signal.aborted && this.#host.abortReason?.code !== "cancelled";
        if (stopped || (tries >= MAX_TRIES && !outage)) throw new WriteRefused(false, error);
        if (tries === 1) this.#host.onTrouble(error);
      }
      await sleep(clock, Math.min(5000, 50 * 2 ** tries), stoppable(signal));
    }
  }
}

const NOTHING: readonly Accepted[] = [];

/** A signal that has aborted would turn the pauses between tries into a storm. */
function stoppable(signal: AbortSignal): AbortSignal | undefined {
  return signal.aborted ? undefined : signal;
}

function isHeld(status: StepStatus): boolean {
  return status !== "lost";
}

function notNull(answer: Checkpoint | null): boolean {
  return answer !== null;
}
