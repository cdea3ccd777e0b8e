/**
 * The rule that all steps share. Each call of a step has a place, counted from 0; what is remembered
 * for the place must have the name and the kind that the code asks for.
 *
 * That calls have the same places in each slice of a run, also those of branches side by side, comes
 * from the order in which results are given to the code: one at a time, with a turn of the event loop
 * between two, so that whatever follows from one has happened before the next. The order is remembered
 * with the results (`seq`), and a replay gives them in the same one. What is new begins when the replay
 * is over.
 *
 * A slice is over when its handler has ended, or when nothing is under way and steps are open:
 * suspending throws nothing, it is a promise that never resolves.
 */

import { nextTurn } from "../core/clock.ts";
import type { DispatchError } from "../core/errors.ts";
import { checkStepName } from "../core/workflow_name.ts";
import type { Checkpoint, Rewind, StepKind } from "../core/run.ts";
import { nestedStep, nondeterministic, stepAfterEnd, stepFailure } from "./failure.ts";
import type { SliceHost } from "./host.ts";
import { type Call, Order, resultOf, type Slot, type StepResult } from "./order.ts";
import { Recorder, WriteRefused } from "./recorder.ts";
import { Watch } from "./watch.ts";

/** Why a slice can no longer go on, apart from its handler's end. */
export type Stop =
  /** Steps are open and nothing is under way. */
  | { readonly kind: "quiet" }
  /** It was asked to stop. */
  | { readonly kind: "aborted" }
  /** The store did not take its writes. */
  | { readonly kind: "refused"; readonly error: WriteRefused }
  /** A step has thrown what ends the whole run. */
  | { readonly kind: "thrown"; readonly thrown: unknown }
  /** The code is not the one that the run was begun with. */
  | { readonly kind: "nondeterministic"; readonly error: DispatchError };

/** How long a replay may wait for a call while others wait for it. */
const STUCK_MS = 5000;

export class Memo {
  readonly host: SliceHost;
  readonly recorder: Recorder;
  /** True once a step was called that can be undone. */
  mayUndo = false;
  readonly #onStop: (stop: Stop) => void;
  readonly #replaysOnly: boolean;
  readonly #watch: Watch;
  readonly #order = new Order();
  #next = 0;
  readonly #uses = new Map<string, number>();
  readonly #asked = new Map<number, Call>();
  #live = false;
  #active = 0;
  #pumping = false;
  #ended = false;
  #stopped = false;
  #drained: (() => void) | null = null;
  #cancelStuck: (() => void) | null = null;
  /** Failures that the code was given, with the number of calls before. */
  readonly #failures = new WeakMap<Error, Rewind>();

  /** @param replaysOnly true begins nothing that is not remembered */
  constructor(host: SliceHost, replaysOnly: boolean, onStop: (stop: Stop) => void) {
    this.host = host;
    this.recorder = new Recorder(host);
    this.#replaysOnly = replaysOnly;
    this.#onStop = onStop;
    this.#watch = new Watch(host, () => this.#refresh());
  }

  /** Takes in what is remembered and begins to give it, just before the handler is called. */
  begin(checkpoints: readonly Checkpoint[]): void {
    this.#order.load(checkpoints);
    void this.#pump();
  }

  /** A step is called. */
  call(
    kind: StepKind,
    baseName: string,
    start: Call["start"],
    onCompleted?: Call["onCompleted"],
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.host.ambient.inside()) throw nestedStep(baseName);
      if (this.#ended) throw stepAfterEnd(baseName);
      checkStepName(baseName);
      const position = this.#next++;
      const name = kind === "set" ? baseName : this.#number(baseName);
      const recorded = this.#order.recorded(position);
      if (recorded !== null && (recorded.name !== name || recorded.kind !== kind)) {
        const error = nondeterministic(position, recorded, { kind, name });
        return this.stop({ kind: "nondeterministic", error });
      }
      const open = recorded?.state === "open" ? recorded : null;
      const call = { position, name, kind, recorded: open, start, onCompleted, resolve, reject };
      this.#asked.set(position, call);
      if (this.#live) this.#begin(call);
      this.#wake();
    });
  }

  /** Takes the next place in the order of results. */
  reserve(call: Call): Slot {
    return this.#order.reserve(call);
  }

  /** The result has been written: the code gets it when it is its turn. */
  fill(slot: Slot, result: StepResult): void {
    slot.result = result;
    this.#wake();
  }

  /** Gives the code a result that something else than this slice has written. */
  give(call: Call, checkpoint: Checkpoint): void {
    const slot = this.reserve(call);
    this.recorder.accept({ position: call.position, seq: slot.seq });
    this.fill(slot, resultOf(checkpoint));
  }

  /** Something is under way: the slice goes on while it is. */
  async work(run: () => Promise<void>): Promise<void> {
    this.#active++;
    try {
      await run();
    } catch (error) {
      const refused = error instanceof WriteRefused ? error : new WriteRefused(false, error);
      this.stop({ kind: "refused", error: refused });
    } finally {
      this.#active--;
      if (this.#active === 0) {
        this.#drained?.();
        this.#wake();
      }
    }
  }

  /** A step is open: `again` is called when its time has come, while the slice goes on. */
  open(call: Call, leftMs: number | null, again: () => void): void {
    this.#watch.add(call, leftMs, again);
    this.#wake(); // where another step is under way, somebody must look after this one
  }

  /** Positions of the open steps that wait for a moment. */
  get timed(): number[] {
    return this.#watch.timed();
  }

  /** The handler has ended: no step begins any more. Returns what it should have called and has not. */
  end(): Checkpoint | null {
    this.#ended = true;
    this.#wake();
    return this.#order.missing(this.#asked);
  }

  /** Resolves when nothing is under way. */
  async drained(): Promise<void> {
    while (this.#active > 0) await new Promise<void>((resolve) => (this.#drained = resolve));
  }

  /** What a retry of the run has to forget so that the step whose failure ended it is tried again. */
  rewindOf(thrown: unknown): Rewind | null {
    for (let error = thrown, depth = 0; depth < 10; depth++) {
      if (!(error instanceof Error)) return null;
      const rewind = this.#failures.get(error);
      if (rewind !== undefined) return rewind;
      error = error.cause;
    }
    return null;
  }

  /** The slice is asked to stop: it does when what is under way has let go. */
  interrupt(): void {
    this.#watch.stop(); // also where a step ignores its signal, for ever
    if (this.#active === 0) this.stop({ kind: "aborted" });
  }

  /** Ends the slice, whatever its handler does. The first reason stands. */
  stop(stop: Stop): void {
    if (this.#stopped) return;
    this.close();
    this.#onStop(stop);
  }

  /** The slice is over: its timers end. */
  close(): void {
    this.#stopped = true;
    this.#ended = true;
    this.#watch.stop();
    this.#cancelStuck?.();
    this.#cancelStuck = null;
  }

  #number(name: string): string {
    const uses = (this.#uses.get(name) ?? 0) + 1;
    this.#uses.set(name, uses);
    return uses === 1 ? name : `${name}#${uses}`;
  }

  #wake(): void {
    if (!this.#pumping && !this.#stopped) void this.#pump();
  }

  /** Gives results one at a time, and looks whether the slice is over when there is none. */
  async #pump(): Promise<void> {
    this.#pumping = true;
    do await nextTurn(); while (!this.#stopped && this.#give());
    this.#pumping = false;
    if (!this.#stopped) this.#settle();
  }

  /** Gives the next result; false where there is none yet. */
  #give(): boolean {
    if (!this.#live && !this.#order.replaying) this.#goLive();
    const next = this.#order.next(this.#asked);
    if (next === null) return false;
    const { call, result } = next;
    this.#asked.delete(call.position);
    if (result.state === "completed") {
      call.onCompleted?.(call, result.value);
      call.resolve(result.value);
    } else {
      const error = stepFailure(call.name, result.failure);
      this.#failures.set(error, { step: call.position, from: this.#next });
      call.reject(error);
    }
    return true;
  }

  /** The replay is over: what waited for that begins, in the order of the calls. */
  #goLive(): void {
    this.#live = true;
    this.#cancelStuck?.();
    for (const call of [...this.#asked.values()]) this.#begin(call);
  }

  #begin(call: Call): void {
    if (this.#replaysOnly || this.host.signal.aborted) return;
    const recorded = this.#order.recorded(call.position);
    if (recorded !== null && recorded.state !== "open") this.give(call, recorded);
    else call.start(call);
  }

  /** Nothing is to be given: is anything under way? */
  #settle(): void {
    if (this.#active > 0 || this.#order.busy) return this.#watch.start();
    if (this.#replaysOnly) {
      if (this.#live || this.host.signal.aborted) this.stop({ kind: "quiet" });
      else this.#armStuck();
    } else if (!this.#ended && this.#asked.size > 0) {
      if (this.host.signal.aborted) this.stop({ kind: "aborted" });
      else if (this.#live) this.stop({ kind: "quiet" });
      else this.#armStuck();
    }
  }

  #armStuck(): void {
    this.#cancelStuck ??= this.host.clock.after(STUCK_MS, () => {
      const missing = this.#order.missing(this.#asked);
      if (missing === null) return;
      const error = nondeterministic(missing.position, missing, null);
      this.stop({ kind: "nondeterministic", error });
    });
  }

  /** Looks whether open steps have ended meanwhile. */
  #refresh(): void {
    void this.work(async () => {
      const pending = await this.host.checkpoints(null, true).catch(() => []); // the next look
      for (const checkpoint of pending) {
        const call = checkpoint.state === "open" ? null : this.#watch.take(checkpoint.position);
        if (call !== null) this.give(call, checkpoint);
      }
    });
  }
}
