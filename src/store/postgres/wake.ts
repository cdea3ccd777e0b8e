/**
 * Hints between processes, over LISTEN and NOTIFY. A NOTIFY takes a lock of the whole database when
 * it commits: in each insert it let 50 callers enqueue 2,100 jobs a second instead of 6,000. So there
 * is at most one every few milliseconds for all queues together: with the next insert after a pause,
 * which spares a round trip on the way to the handler and a commit, and by itself where none comes
 * soon. What is lost on the way is found by polling.
 */

import { type Clock, endsWithin, systemClock } from "../../core/clock.ts";
import type { SqlExecutor } from "../../sql/driver.ts";
import type { Database } from "./database.ts";

/** At most one NOTIFY of a process in so many milliseconds. */
const PAUSE_MS = 5;
/** After the pause, a hint that is due waits so long for an insert that takes it along. */
const RIDE_MS = 2;
/**
 * Who begins to listen waits so long for that to stand: claims then go over its connection from the
 * first one on, and are not planned in two sessions.
 */
const STANDS_MS = 1_000;

const NOTIFY = "select pg_notify($1::text, $2::text)";

type Waker = (queue: string) => void;

export class Wake {
  readonly #database: Database;
  readonly #notify: boolean;
  readonly #clock: Clock;
  readonly #wakers = new Set<Waker>();
  /** Queues that claims ask for: those that a gap in listening may have left asleep. */
  readonly #claimed = new Set<string>();
  readonly #waiting = new Set<string>();
  /** Between two hints; then, where some are due, the time that they wait for an insert. */
  #resting = false;
  #riding = false;
  #cancelRest: (() => void) | null = null;
  #stopListening: (() => Promise<void>) | null = null;

  constructor(database: Database, notify: boolean, clock: Clock = systemClock) {
    this.#database = database;
    this.#notify = notify;
    this.#clock = clock;
  }

  get #channel(): string {
    return `dispatch:${this.#database.schema}`;
  }

  /** Queues that somebody here takes jobs from. */
  note(queues: readonly string[]): void {
    for (const queue of queues) this.#claimed.add(queue);
  }

  /** The channel, where a hint may go out with the insert of a job right now, and then none soon. */
  takeTurn(): string | null {
    if (!this.#notify || this.#resting) return null;
    this.#rest();
    return this.#channel;
  }

  /**
   * Wakes who listens in this process at once, and others where they have not been told: `now`, or with
   * the next insert, for jobs whose insert began during a pause. Where inserts follow each other one is
   * always under way when a pause ends: sending its hint by itself was a tenth of all statements.
   */
  send(queues: readonly string[], others: "now" | "with the next" | "told" = "now"): void {
    if (queues.length === 0) return;
    const [first] = queues;
    const distinct = queues.every((queue) => queue === first) ? [first] : new Set(queues);
    for (const queue of distinct) {
      for (const waker of this.#wakers) waker(queue);
    }
    if (!this.#notify) return;
    for (const queue of distinct) {
      if (others === "told") this.#waiting.delete(queue);
      else this.#waiting.add(queue);
    }
    if (this.#resting || this.#waiting.size === 0) return;
    if (others === "now") this.#flush();
    else this.#ride();
  }

  /** Sends the hint with a transaction: it goes out when that commits, and not at all otherwise. */
  async sendWith(executor: Pick<SqlExecutor, "query">, queues: readonly string[]): Promise<void> {
    if (!this.#notify) return;
    for (const payload of payloadsOf([...new Set(queues)])) {
      await executor.query(NOTIFY, [this.#channel, payload]);
    }
  }

  /** Calls `waker` with each queue that a process names. */
  async listen(waker: Waker): Promise<() => Promise<void>> {
    this.#wakers.add(waker);
    if (this.#notify && this.#wakers.size === 1) await this.#subscribe();
    return async () => {
      this.#wakers.delete(waker);
      if (this.#wakers.size > 0) return;
      const stop = this.#stopListening;
      this.#stopListening = null;
      await stop?.();
    };
  }

  async close(): Promise<void> {
    this.#cancelRest?.();
    this.#wakers.clear();
    await this.#stopListening?.();
    this.#stopListening = null;
  }

  async #subscribe(): Promise<void> {
    const driver = await this.#database.driver();
    const wakeAll = (queues: Iterable<string>) => {
      for (const queue of queues) for (const waker of this.#wakers) waker(queue);
    };
    const stands = new Promise<void>((resolve) => {
      this.#stopListening = driver.listen?.(
        this.#channel,
        (payload) => wakeAll(payload.split("\n")),
        () => (resolve(), wakeAll(this.#claimed)),
      ) ?? null;
    });
    if (this.#stopListening !== null) await endsWithin(systemClock, STANDS_MS, stands);
  }

  #flush(): void {
    const queues = [...this.#waiting];
    this.#waiting.clear();
    for (const payload of payloadsOf(queues)) {
      this.#database.query(NOTIFY, [this.#channel, payload]).catch(() => {}); // a hint
    }
    this.#rest();
  }

  #rest(): void {
    this.#cancelRest?.();
    this.#resting = true;
    this.#riding = false;
    this.#cancelRest = this.#clock.after(PAUSE_MS, () => {
      this.#resting = false;
      if (this.#waiting.size > 0) this.#ride();
    });
  }

  #ride(): void {
    if (this.#riding) return;
    this.#riding = true;
    this.#cancelRest = this.#clock.after(RIDE_MS, () => {
      this.#riding = false;
      if (this.#waiting.size > 0) this.#flush();
    });
  }
}

/** A payload has at most 8,000 bytes, which is room for nine of the longest names. */
function payloadsOf(queues: readonly string[]): string[] {
  const payloads: string[] = [];
  for (let at = 0; at < queues.length; at += 9) payloads.push(queues.slice(at, at + 9).join("\n"));
  return payloads;
}
