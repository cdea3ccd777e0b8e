import { DispatchError } from "../../core/errors.ts";
import type { Page } from "../store.ts";

/**
 * Items in the order of a key, listed from the newest. Items mostly arrive in order; the rare one
 * that does not has the log sorted before it is next read.
 */
export class OrderedLog<Item> {
  #items: Item[] = [];
  #sorted = true;
  #gone = 0;
  readonly #key: (item: Item) => string;
  readonly #keyForm: RegExp;
  readonly #isGone: (item: Item) => boolean;

  constructor(key: (item: Item) => string, keyForm: RegExp, isGone: (item: Item) => boolean) {
    this.#key = key;
    this.#keyForm = keyForm;
    this.#isGone = isGone;
  }

  add(item: Item): void {
    const last = this.#items.at(-1);
    if (last !== undefined && this.#key(item) < this.#key(last)) this.#sorted = false;
    this.#items.push(item);
  }

  /** To be called when an item has become gone, so that space can be reclaimed in time. */
  noteGone(): void {
    if (++this.#gone > 256 && this.#gone * 2 > this.#items.length) {
      this.#items = this.#items.filter((item) => !this.#isGone(item));
      this.#gone = 0;
    }
  }

  /**
   * The matching items from the newest on, behind the cursor where one is given: the key of an item,
   * which need not be there any more.
   *
   * @throws {DispatchError} `invalid_option` for what is no cursor
   */
  page(
    query: { limit: number; offset: number; cursor?: string },
    matches: (item: Item) => boolean,
  ): Page<Item> {
    if (query.cursor !== undefined && !this.#keyForm.test(query.cursor)) {
      throw new DispatchError(
        "invalid_option",
        `Cannot go on behind ${JSON.stringify(query.cursor)}`,
        {
          hint: "A cursor is the nextCursor of the page before.",
        },
      );
    }
    this.#sort();
    const items: Item[] = [];
    let skip = query.offset;
    let at = query.cursor === undefined ? this.#items.length : this.#firstAt(query.cursor);
    while (at-- > 0) {
      const item = this.#items[at];
      if (this.#isGone(item) || !matches(item)) continue;
      if (skip-- > 0) continue;
      if (items.length === query.limit) {
        const last = items.at(-1);
        return { items, nextCursor: last === undefined ? null : this.#key(last) };
      }
      items.push(item);
    }
    return { items, nextCursor: null };
  }

  /** Every item that is not gone, the oldest first. */
  *oldestFirst(): Iterable<Item> {
    this.#sort();
    for (const item of [...this.#items]) if (!this.#isGone(item)) yield item;
  }

  #sort(): void {
    if (this.#sorted) return;
    const key = this.#key;
    this.#items.sort((a, b) => key(a) < key(b) ? -1 : 1);
    this.#sorted = true;
  }

  /** Index of the first item whose key is not below `key`. */
  #firstAt(key: string): number {
    let low = 0;
    let high = this.#items.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#key(this.#items[middle]) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
