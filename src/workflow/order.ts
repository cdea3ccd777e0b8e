import type { Failure } from "../core/outcome.ts";
import type { Checkpoint, StepKind } from "../core/run.ts";

/** What a step ended with. */
export type StepResult =
  | { readonly state: "completed"; readonly value: unknown }
  | { readonly state: "failed"; readonly failure: Failure };

/** One call of a step. */
export interface Call {
  readonly position: number;
  /** Numbered where the name was used before. */
  readonly name: string;
  readonly kind: StepKind;
  /** What is remembered of it while it is open. */
  readonly recorded: Checkpoint | null;
  /** Begins it, or goes on with it. */
  readonly start: (call: Call) => void;
  /** Told of its result before the code is. */
  readonly onCompleted: ((call: Call, value: unknown) => void) | undefined;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** A result on its way to the code. Its place in the order is taken before it is written. */
export interface Slot {
  readonly call: Call;
  readonly seq: number;
  result: StepResult | null;
}

/** In which order results are given to the code: first as they were before, then as they come. */
export class Order {
  /** What is remembered, by place, until it is given. */
  readonly #recorded = new Map<number, Checkpoint>();
  /** That of it which was given before, in its order. */
  #replay: Checkpoint[] = [];
  #replayed = 0;
  readonly #queue: Slot[] = [];
  #seq = 0;

  load(checkpoints: readonly Checkpoint[]): void {
    for (const checkpoint of checkpoints) {
      if (checkpoint.position < 0) continue; // compensation has no call
      this.#recorded.set(checkpoint.position, checkpoint);
      if (checkpoint.seq !== null) this.#replay.push(checkpoint);
      this.#seq = Math.max(this.#seq, checkpoint.seq ?? 0);
    }
    this.#replay.sort((a, b) => a.seq! - b.seq!);
  }

  /** What is remembered for a place and was not given yet. */
  recorded(position: number): Checkpoint | null {
    return this.#recorded.get(position) ?? null;
  }

  /** True until everything was given that was given before. */
  get replaying(): boolean {
    return this.#replayed < this.#replay.length;
  }

  /** True while results are on their way. */
  get busy(): boolean {
    return this.#queue.length > 0;
  }

  /** Takes the next place. */
  reserve(call: Call): Slot {
    const slot = { call, seq: ++this.#seq, result: null };
    this.#queue.push(slot);
    return slot;
  }

  /** Takes the next result and who asked for it; null where it has not come, or nobody has asked. */
  next(asked: ReadonlyMap<number, Call>): { call: Call; result: StepResult } | null {
    if (this.replaying) {
      const checkpoint = this.#replay[this.#replayed];
      const call = asked.get(checkpoint.position);
      if (call === undefined) return null;
      this.#replayed++;
      this.#recorded.delete(call.position);
      return { call, result: resultOf(checkpoint) };
    }
    const [slot] = this.#queue;
    if (slot === undefined || slot.result === null) return null;
    this.#queue.shift();
    this.#recorded.delete(slot.call.position);
    return { call: slot.call, result: slot.result };
  }

  /** The first result of an earlier slice that was not asked for. */
  missing(asked: ReadonlyMap<number, Call>): Checkpoint | null {
    const left = this.#replay.slice(this.#replayed);
    return left.find(({ position }) => !asked.has(position)) ?? null;
  }
}

/** What is remembered, as the code gets it: a fresh value. */
export function resultOf({ state, result, failure }: Checkpoint): StepResult {
  return state === "failed"
    ? { state, failure: failure! }
    : { state: "completed", value: JSON.parse(result ?? "null") };
}
