import { type Duration, parseDuration } from "../../core/duration.ts";
import { DispatchError, show } from "../../core/errors.ts";
import { isLabel } from "../../core/name.ts";
import { checkStepName } from "../../core/workflow_name.ts";
import type { Memo } from "../memo.ts";
import type { Call } from "../order.ts";

/** For how long to wait for an event, and for which of its name. */
export interface WaitOptions {
  /** After that the wait ends with null. Default: it does not. */
  timeout?: Duration;
  /** Only events that are published with this key; without one, only those without. */
  key?: string;
}

/** What ends a wait: a moment, or an event. */
interface WaitFor {
  readonly events: readonly string[];
  readonly key: string | null;
  readonly delayMs: number | null;
  readonly until: number | null;
}

/** Waits until a moment, which the store reads off its clock. */
export function sleepStep(
  memo: Memo,
  name: string,
  when: { readonly delayMs: number } | { readonly until: number },
): Promise<unknown> {
  return waitStep(memo, "sleep", name, {
    events: [],
    key: null,
    delayMs: null,
    until: null,
    ...when,
  });
}

/** Waits for the first of some events: `{ name, payload }`, or null. */
export function eventStep(
  memo: Memo,
  events: readonly string[],
  options: WaitOptions,
): Promise<unknown> {
  try {
    if (events.length === 0) throw new DispatchError("invalid_step", "Cannot wait for no event");
    events.forEach(checkStepName);
    const name = events.join(" | ").slice(0, 150).trim();
    return waitStep(memo, "event", name, { events, ...readOptions(name, options), until: null });
  } catch (error) {
    return Promise.reject(error);
  }
}

function readOptions(
  name: string,
  { timeout, key }: WaitOptions,
): { key: string | null; delayMs: number | null } {
  if (key !== undefined && !isLabel(key, 200)) {
    throw new DispatchError("invalid_step", `Cannot wait for events of key ${show(key)}`, {
      hint: "A key is a text of 1 to 200 characters, without NUL.",
    });
  }
  const what = `the timeout of ${show(name)}`;
  return { key: key ?? null, delayMs: timeout === undefined ? null : parseDuration(timeout, what) };
}

function waitStep(
  memo: Memo,
  kind: "sleep" | "event",
  name: string,
  wait: WaitFor,
): Promise<unknown> {
  const look = (call: Call): void =>
    void memo.work(async () => {
      const { position } = call;
      const checkpoint = await memo.recorder.wait({ ...wait, position, name: call.name, kind });
      if (checkpoint.state === "open") memo.open(call, checkpoint.leftMs, () => look(call));
      else memo.give(call, checkpoint);
    });
  return memo.call(kind, name, look);
}
