/**
 * An AbortController that is made when somebody first asks for its signal: most steps never do, and
 * it costs as much as a step.
 */
export class LazyAbort {
  #controller: AbortController | null = null;
  #reason: { readonly reason: unknown } | null = null;

  /** True once somebody could know of an abort. */
  get isWatched(): boolean {
    return this.#controller !== null;
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController();
      if (this.#reason !== null) this.#controller.abort(this.#reason.reason);
    }
    return this.#controller.signal;
  }

  /** The first reason stands. */
  abort(reason?: unknown): void {
    this.#reason ??= { reason };
    this.#controller?.abort(this.#reason.reason);
  }
}
