import type { Accepted, Checkpoint, Rewind } from "../core/run.ts";
import type { AnyWorkflowDefinition } from "./definition.ts";
import { nondeterministic } from "./failure.ts";
import { PAGE_SIZE, type SliceHost } from "./host.ts";
import { Memo, type Stop } from "./memo.ts";
import type { WriteRefused } from "./recorder.ts";
import { makeStep } from "./step.ts";

/** How a slice of a run ended. */
export type SliceEnd =
  /** The handler has returned. */
  | { readonly kind: "completed"; readonly output: unknown }
  /** It has thrown, or its code is not the one that the run was begun with. */
  | {
    readonly kind: "failed";
    readonly thrown: unknown;
    /** What a retry has to forget. */
    readonly rewind: Rewind | null;
    /** True where there may be steps to undo. */
    readonly undo: boolean;
  }
  /** Steps are open and nothing is under way. */
  | {
    readonly kind: "parked";
    readonly timed: readonly number[];
    readonly accepted: readonly Accepted[];
  }
  /** It was asked to stop. */
  | { readonly kind: "aborted" }
  /** The store did not take its writes. */
  | { readonly kind: "refused"; readonly error: WriteRefused };

/**
 * Runs the handler of a workflow from its start: what is remembered is given back, what is new is
 * done, until the handler ends or waits.
 *
 * @param first the first page of what is remembered
 */
export async function runSlice(
  workflow: AnyWorkflowDefinition,
  input: unknown,
  host: SliceHost,
  first: readonly Checkpoint[],
): Promise<SliceEnd> {
  const remembered = await readAll(host, first);
  return await new Promise<SliceEnd>((resolve) => {
    const memo = new Memo(host, false, (stop) => resolve(endOf(stop, memo)));
    const onAbort = () => memo.interrupt();
    const end = (sliceEnd: SliceEnd) => {
      memo.close();
      resolve(sliceEnd);
    };
    const { step, losers } = makeStep(memo);
    const onReturn = (output: unknown) => {
      const missing = memo.end();
      losers.abort();
      if (missing === null) return end({ kind: "completed", output });
      const thrown = nondeterministic(missing.position, missing, null);
      end({ kind: "failed", thrown, rewind: null, undo: false });
    };
    const onThrow = async (thrown: unknown) => {
      memo.end();
      await memo.drained(); // what is under way is remembered, so that it can be undone
      end(
        host.signal.aborted
          ? { kind: "aborted" }
          : { kind: "failed", thrown, rewind: memo.rewindOf(thrown), undo: memo.mayUndo },
      );
    };
    if (host.signal.aborted) return end({ kind: "aborted" });
    host.signal.addEventListener("abort", onAbort, { once: true });
    memo.begin(remembered);
    // deno-lint-ignore require-await -- a handler that throws at once must reject
    (async () => workflow.handler(input, step))().then(onReturn, onThrow);
  });
}

function endOf(stop: Stop, memo: Memo): SliceEnd {
  switch (stop.kind) {
    case "quiet":
      return { kind: "parked", timed: memo.timed, accepted: memo.recorder.accepted };
    case "thrown":
      return { kind: "failed", thrown: stop.thrown, rewind: null, undo: memo.mayUndo };
    case "nondeterministic":
      return { kind: "failed", thrown: stop.error, rewind: null, undo: false };
    default:
      return stop;
  }
}

/** Everything that is remembered of a run: the first page, and what is behind it. */
export async function readAll(
  host: SliceHost,
  first: readonly Checkpoint[],
): Promise<readonly Checkpoint[]> {
  if (first.length < PAGE_SIZE) return first;
  const all = [...first];
  for (;;) {
    const page = await host.checkpoints(all[all.length - 1].position, false);
    all.push(...page);
    if (page.length < PAGE_SIZE) return all;
  }
}
