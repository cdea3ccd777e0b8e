/** A first-in, first-out list whose `shift` does not move the rest. */
export class Fifo<Item> {
  /** Emptied from the front: what has left must not live on here. */
  #items: (Item | undefined)[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: Item): void {
    this.#items.push(item);
  }

  /** The oldest item. */
  peek(): Item | undefined {
    return this.#items[this.#head];
  }

  /** The newest item. */
  last(): Item | undefined {
    return this.size === 0 ? undefined : this.#items[this.#items.length - 1];
  }

  /** Takes out the oldest item. */
  shift(): Item | undefined {
    if (this.size === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head >= 1024 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Takes out every item that does not pass, and returns those. */
  remove(keep: (item: Item) => boolean): Item[] {
    const removed: Item[] = [];
    const kept: Item[] = [];
    for (const item of this.items()) (keep(item) ? kept : removed).push(item);
    this.#items = kept;
    this.#head = 0;
    return removed;
  }

  /** All items, the oldest first. */
  items(): Item[] {
    return this.#items.slice(this.#head) as Item[];
  }
}
