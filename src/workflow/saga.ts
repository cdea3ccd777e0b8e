/**
 * Undoing what a run did. Its handler is replayed, without doing anything new, only to learn which of
 * its completed steps can be undone; then they are, the latest first, each as a step of its own that
 * is remembered and tried again. A compensation that fails for good ends it: those before it may
 * depend on what it was to undo.
 */

import { type Failure, toFailure } from "../core/outcome.ts";
import type { Checkpoint } from "../core/run.ts";
import type { AnyWorkflowDefinition } from "./definition.ts";
import type { SliceHost } from "./host.ts";
import { Memo, type Stop } from "./memo.ts";
import { Recorder, WriteRefused } from "./recorder.ts";
import { readAll, type SliceEnd } from "./slice.ts";
import { makeStep } from "./step.ts";
import { attemptStep, type StepRules } from "./steps/attempt.ts";

/** A completed step that can be undone. */
export interface Undo {
  readonly position: number;
  readonly name: string;
  readonly result: unknown;
  readonly compensate: (result: never) => unknown;
  readonly rules: StepRules;
}

/** How a slice ended that undoes. */
export type UndoEnd =
  /** Everything is undone. */
  | { readonly kind: "undone" }
  /** Something could not be. */
  | { readonly kind: "stuck"; readonly failure: Failure }
  | Extract<SliceEnd, { kind: "parked" | "aborted" | "refused" }>;

/** Undoes what a run did, as far as it was not undone before. */
export async function undoSlice(
  workflow: AnyWorkflowDefinition,
  input: unknown,
  host: SliceHost,
  first: readonly Checkpoint[],
): Promise<UndoEnd> {
  const remembered = await readAll(host, first);
  const { stop, undos } = await replay(workflow, input, host, remembered);
  if (host.signal.aborted) return { kind: "aborted" };
  if (stop.kind === "nondeterministic") {
    return { kind: "stuck", failure: cannotUndo(stop.error, [], completed(remembered)) };
  }
  const before = new Map(remembered.map((checkpoint) => [checkpoint.position, checkpoint]));
  const undone: string[] = [];
  for (const [i, undo] of undos.entries()) {
    const position = -1 - undo.position;
    const end = await compensate(undo, position, before.get(position), host);
    if (end === null) undone.push(undo.name);
    else if (!("message" in end)) return end;
    else {
      const left = undos.slice(i).map(({ name }) => name);
      return { kind: "stuck", failure: cannotUndo(end, undone, left) };
    }
  }
  return { kind: "undone" };
}

/** Runs the handler over what is remembered, and returns what can be undone, the latest first. */
function replay(
  workflow: AnyWorkflowDefinition,
  input: unknown,
  host: SliceHost,
  remembered: readonly Checkpoint[],
): Promise<{ stop: Stop; undos: Undo[] }> {
  return new Promise((resolve) => {
    const undos: Undo[] = [];
    const memo = new Memo(host, true, (stop) => resolve({ stop, undos: undos.reverse() }));
    const { step } = makeStep(memo, (undo) => undos.push(undo));
    host.signal.addEventListener("abort", () => memo.interrupt(), { once: true });
    memo.begin(remembered);
    const ended = () => void memo.end();
    // deno-lint-ignore require-await -- a handler that throws at once must reject
    (async () => workflow.handler(input, step))().then(ended, ended);
  });
}

/** Undoes one step: null where it is undone, its failure where it cannot be, or why to stop here. */
async function compensate(
  { name, result, compensate, rules }: Undo,
  position: number,
  before: Checkpoint | undefined,
  host: SliceHost,
): Promise<null | Failure | Extract<UndoEnd, { kind: "parked" | "aborted" | "refused" }>> {
  if (before?.state === "completed") return null;
  if (before?.state === "failed") return before.failure!;
  const parked = { kind: "parked", timed: [position], accepted: [] } as const;
  if ((before?.leftMs ?? 0) > 0) return parked;
  const attempt = (before?.attempt ?? 0) + 1;
  const call = { name, position, attempt, work: () => compensate(result as never), rules };
  const tried = await attemptStep(call, host);
  if (tried === null) return { kind: "aborted" };
  const isOpen = tried.state === "open";
  try {
    // What an undo returns is nobody's to see.
    await new Recorder(host).save({
      position,
      name,
      kind: "compensate",
      ...tried,
      result: tried.state === "completed" ? "null" : null,
      seq: isOpen ? null : 0,
    });
  } catch (error) {
    if (error instanceof WriteRefused) return { kind: "refused", error };
    throw error;
  }
  if (isOpen) return parked;
  host.onStep({
    name: `undo ${name}`,
    durationMs: tried.elapsedMs,
    error: tried.failure?.message ?? null,
  });
  return tried.failure;
}

/** What goes to the dead letters: what is undone and what is not. */
function cannotUndo(
  error: { readonly message: string },
  undone: readonly string[],
  left: readonly string[],
): Failure {
  const list = (names: readonly string[]) => names.length === 0 ? "nothing" : names.join(", ");
  const message = `Cannot undo ${left[0] ?? "the run"}: ${error.message}. ` +
    `Undone: ${list(undone)}. Not undone: ${list(left)}.`;
  return toFailure(message, "compensation_failed");
}

/** Names of what completed, the latest first: where nobody can say how to undo it. */
function completed(remembered: readonly Checkpoint[]): string[] {
  return remembered
    .filter(({ position, kind, state }) => position >= 0 && kind === "run" && state === "completed")
    .map(({ name }) => name)
    .reverse();
}
