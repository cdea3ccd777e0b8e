import { invalidOption, show } from "../core/errors.ts";
import type { Page } from "../store/store.ts";

/** Which part of a list to read. */
export interface ListOptions {
  /** At most so many, 1 to 1000. Default 50. */
  limit?: number;
  /** Skips so many. For deep lists `cursor` is quicker, and stable while records come and go. */
  offset?: number;
  /** `nextCursor` of the page before. */
  cursor?: string;
}

/** An array that knows where it goes on. */
export type List<Item> = Item[] & {
  /** To be passed as `cursor` for the next page; `null` on the last one. */
  readonly nextCursor: string | null;
};

/** The largest page. */
export const MAX_LIMIT = 1000;

/** @throws {DispatchError} `invalid_option` */
export function readPage({ limit = 50, offset = 0, cursor }: ListOptions): {
  limit: number;
  offset: number;
  cursor?: string;
} {
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    throw invalidOption(
      `Cannot list ${show(limit)} records at once`,
      `limit is a whole number from 1 to ${MAX_LIMIT}.`,
    );
  }
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw invalidOption(`Cannot skip ${show(offset)} records`, "offset is a whole number from 0.");
  }
  return { limit, offset, cursor };
}

/** Turns a page of records into what users see. */
export function toList<Record, Item>(
  page: Page<Record>,
  toItem: (record: Record) => Item,
): List<Item> {
  const { nextCursor } = page;
  // Not enumerable: the list still compares, prints and serialises as the array that it is.
  return Object.defineProperty(page.items.map(toItem), "nextCursor", { value: nextCursor }) as List<
    Item
  >;
}
