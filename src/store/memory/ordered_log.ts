/**
 * Items in the order of a key. They mostly arrive in order; the rare one that does not has the log
 * sorted before it is next read.
 */
export class OrderedLog<Item> {
  #items: Item[] = [];
  #sorted = true;
  #gone = 0;
  readonly key: (item: Item) => string;
  readonly keyForm: RegExp;
  readonly isGone: (item: Item) => boolean;

  constructor(key: (item: Item) => string, keyForm: RegExp, isGone: (item: Item) => boolean) {
    this.key = key;
    this.keyForm = keyForm;
    this.isGone = isGone;
  }

  add(item: Item): void {
    const last = this.#items.at(-1);
    if (last !== undefined && this.key(item) < this.key(last)) this.#sorted = false;
    this.#items.push(item);
  }

  /** To be called when an item has become gone, so that space can be reclaimed in time. */
  noteGone(): void {
    if (++this.#gone > 256 && this.#gone * 2 > this.#items.length) {
      this.#items = this.#items.filter((item) => !this.isGone(item));
      this.#gone = 0;
    }
  }

  /** All of them, the oldest first, some of which may be gone. */
  sorted(): readonly Item[] {
    const key = this.key;
    if (!this.#sorted) this.#items.sort((a, b) => key(a) < key(b) ? -1 : 1);
    this.#sorted = true;
    return this.#items;
  }
}
