import { DispatchError } from "../core/errors.ts";

/**
 * Merges concurrent calls: one batch is under way at a time, and what arrives meanwhile forms the
 * next. A lone caller pays one round trip and no wait; 1,000 concurrent ones took 3 batches. When a
 * batch is refused, its items are tried one by one, so that a bad one fails for its own caller only.
 * An error may also mean that only the answer was lost: `lookUp` says what was done all the same, so
 * that nothing is done twice. What may be done twice needs none.
 *
 * Source: group commit, as in databases' logs (DeWitt et al., 1984).
 */
export function createBatcher<Item, Result>(
  run: (items: readonly Item[], again: boolean) => Promise<readonly Result[]>,
  maxSize: number,
  lookUp?: (items: readonly Item[]) => Promise<readonly (Result | null)[]>,
): (item: Item) => Promise<Result> {
  interface Call {
    readonly item: Item;
    readonly resolve: (result: Result) => void;
    readonly reject: (error: unknown) => void;
  }
  let waiting: Call[] = [];
  let busy = false;

  async function settle(calls: readonly Call[], again = false): Promise<void> {
    try {
      const results = await run(calls.map((call) => call.item), again);
      for (let i = 0; i < calls.length; i++) calls[i].resolve(results[i]);
    } catch (error) {
      if (isOutage(error)) { for (const call of calls) call.reject(error); }
      else await retry(calls, error);
    }
  }

  async function retry(calls: readonly Call[], error: unknown): Promise<void> {
    try {
      const done = await lookUp?.(calls.map((call) => call.item));
      for (const [i, call] of calls.entries()) {
        const result = done?.[i] ?? null;
        if (result !== null) call.resolve(result);
        else if (calls.length === 1) call.reject(error);
        else await settle([call], true);
      }
    } catch { // nobody can say what was done: the first error stands
      for (const call of calls) call.reject(error);
    }
  }

  async function drain(): Promise<void> {
    busy = true;
    await undefined; // callers of the same turn belong in the first batch
    while (waiting.length > 0) {
      const calls = waiting.length <= maxSize ? waiting : waiting.slice(0, maxSize);
      waiting = waiting.length <= maxSize ? [] : waiting.slice(maxSize);
      await settle(calls);
    }
    busy = false;
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      if (!busy) void drain();
    });
}

/** True where trying again item by item would only ask an absent store once for each. */
function isOutage(error: unknown): boolean {
  return error instanceof DispatchError && error.code === "store_unreachable";
}
