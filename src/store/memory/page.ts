import { invalidOption } from "../../core/errors.ts";
import type { Page } from "../store.ts";
import type { OrderedLog } from "./ordered_log.ts";

/**
 * The matching items of a log from the newest on, behind the cursor where one is given: the key of an
 * item, which need not be there any more.
 *
 * @throws {DispatchError} `invalid_option` for what is no cursor
 */
export function pageOf<Item>(
  log: OrderedLog<Item>,
  query: { limit: number; offset: number; cursor?: string },
  matches: (item: Item) => boolean,
): Page<Item> {
  const { cursor, limit } = query;
  if (cursor !== undefined && !log.keyForm.test(cursor)) {
    throw invalidOption(
      `Cannot go on behind ${JSON.stringify(cursor)}`,
      "A cursor is the nextCursor of the page before.",
    );
  }
  const all = log.sorted();
  const items: Item[] = [];
  let skip = query.offset;
  let at = cursor === undefined ? all.length : firstAt(all, log.key, cursor);
  while (at-- > 0) {
    const item = all[at];
    if (log.isGone(item) || !matches(item)) continue;
    if (skip-- > 0) continue;
    if (items.length === limit) {
      const last = items.at(-1);
      return { items, nextCursor: last === undefined ? null : log.key(last) };
    }
    items.push(item);
  }
  return { items, nextCursor: null };
}

/** Index of the first item whose key is not below `key`. */
function firstAt<Item>(items: readonly Item[], keyOf: (item: Item) => string, key: string): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (keyOf(items[middle]) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
