/** Stands in for what engines are given, and remembers what they did with it. */

import type { Clock } from "../src/core/clock.ts";
import type { LogFields, Logger } from "../src/core/logger.ts";

/** A line of the log. */
export interface LogLine {
  readonly level: keyof Logger;
  readonly message: string;
  readonly fields: LogFields;
}

/** A logger that remembers instead of writing. */
export class RecordingLogger implements Logger {
  readonly lines: LogLine[] = [];
  debug = this.#record("debug");
  info = this.#record("info");
  warn = this.#record("warn");
  error = this.#record("error");

  /** How many lines hold this text. */
  count(text: string): number {
    return this.lines.filter((line) => line.message.includes(text)).length;
  }

  #record(level: keyof Logger) {
    return (message: string, fields: LogFields = {}): void => {
      this.lines.push({ level, message, fields });
    };
  }
}

/** A clock that knows how many of its timers are armed. */
export class CountingClock implements Clock {
  readonly #clock: Clock;
  readonly #dues = new Set<{ readonly at: number }>();
  armed = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get held(): number | null {
    return this.#clock.held;
  }

  now(): number {
    return this.#clock.now();
  }

  /** When the first of its timers is due. */
  get nextDue(): number {
    return Math.min(...[...this.#dues].map(({ at }) => at));
  }

  after(ms: number, run: () => void): () => void {
    this.armed++;
    const due = { at: this.now() + Math.max(0, ms) };
    this.#dues.add(due);
    const close = () => {
      if (this.#dues.delete(due)) this.armed--;
    };
    const cancel = this.#clock.after(ms, () => (close(), run()));
    return () => (close(), cancel());
  }
}
