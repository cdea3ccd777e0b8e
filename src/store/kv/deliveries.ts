import { type EventRecord, eventResult } from "../../core/event.ts";
import type { KvEntry } from "./client.ts";
import type { Database } from "./database.ts";
import { Draft } from "./draft.ts";
import type { KeptEvents } from "./kept_events.ts";
import type { Meetings } from "./meetings.ts";
import type { Moves } from "./moves.ts";
import type { StepEnd } from "./run_moves.ts";
import type { RunSteps } from "./run_steps.ts";
import { decode, encode } from "./value.ts";

/** How far an event is that is for all. */
interface Mark {
  /** The last run that it was given to, in the order of their ids. */
  readonly after: string;
  /** How many runs it was given to. */
  readonly delivered: number;
}

/** So many waiting steps are read at a time. */
const PORTION = 100;

/** Gives events that are for all to those who waited for them when they came. */
export class Deliveries {
  readonly #database: Database;
  readonly #moves: Moves;
  readonly #steps: RunSteps;
  readonly #meetings: Meetings;
  readonly #kept: KeptEvents;

  constructor(parts: {
    database: Database;
    moves: Moves;
    runSteps: RunSteps;
    meetings: Meetings;
    keptEvents: KeptEvents;
  }) {
    this.#database = parts.database;
    this.#moves = parts.moves;
    this.#steps = parts.runSteps;
    this.#meetings = parts.meetings;
    this.#kept = parts.keptEvents;
  }

  /** An event that is kept from now on is to be delivered. */
  begin(draft: Draft, id: string): void {
    const mark: Mark = { after: "", delivered: 0 };
    draft.set(this.#database.keys.eventDue(id), encode(mark));
  }

  /** Goes on with it to the end. Returns how many runs it was given to. */
  async deliver(id: string): Promise<number> {
    for (;;) {
      const { over, delivered } = await this.#database.insist(() => this.#portion(id));
      if (over) return delivered;
    }
  }

  /** Goes on with events whose senders have died. */
  async deliverAll(): Promise<void> {
    const section = { prefix: this.#database.keys.section("event", "due") };
    for (const { key } of await this.#database.page(section, 100)) {
      await this.deliver(key[3] as string);
    }
  }

  /** One commit, for as many runs as fit. */
  async #portion(id: string): Promise<{ over: boolean; delivered: number } | null> {
    const { keys } = this.#database;
    const entry = await this.#database.get(keys.eventDue(id));
    const [event] = await this.#kept.read([id]);
    if (entry.value === null || event === null) {
      return { over: true, delivered: event?.record.delivered ?? 0 };
    }
    const { after, delivered } = decode<Mark>(entry.value);
    const { name, key } = event.record;
    const prefix = keys.section("wait", name, key ?? "");
    const behind = after === "" ? { prefix } : { prefix, start: [...prefix, after + "\u0000"] };
    const page = await this.#database.page(behind, PORTION);
    const now = this.#database.now();
    const draft = new Draft();
    draft.check(entry);
    const given = await this.#give(draft, event.record, page, now);
    if (given === null) return null;
    const mark = { after: given.last, delivered: delivered + given.count };
    const over = given.all && page.length < PORTION;
    if (over) {
      draft.delete(entry.key);
      this.#kept.count(draft, event, mark.delivered);
    } else draft.set(entry.key, encode(mark satisfies Mark));
    if (await this.#database.commit(draft, now) === null) return null;
    return { over, delivered: mark.delivered };
  }

  /** Ends the first step of each run that waits; `null` where somebody was faster. */
  async #give(draft: Draft, event: EventRecord, page: readonly KvEntry[], now: number) {
    const { keys } = this.#database;
    const maxChecks = await this.#database.maxChecks();
    const places = page.map(({ key }) => ({ run: key[4] as string, position: key[5] as number }));
    const ids = [...new Set(places.map(({ run }) => run))];
    const runs = await this.#meetings.read(ids);
    const steps = await this.#steps.at(places.map((at) => keys.open(at.run, at.position)));
    const taken = ids.length === 0
      ? []
      : await this.#database.getMany(ids.map((run) => keys.took(run, event.id)));
    let last = "";
    let count = 0;
    for (const [i, id] of ids.entries()) {
      const run = runs.get(id);
      const step = steps.find((step, at) =>
        places[at].run === id && step?.record.state === "open"
      ) ?? null;
      if (run !== undefined && run.job !== null && step !== null && taken[i].value === null) {
        const one = new Draft();
        // A step that has just begun to wait is about to find one that came before this.
        const first = await this.#kept.first(id, run.job.record.createdAt, step.record) ?? event;
        this.#moves.runs.finish(one, id, step, endOf(first), now);
        if (!await this.#meetings.meet(one, run, now)) return null;
        if (!draft.fits(one, maxChecks)) return { last, count, all: false };
        draft.add(one);
        if (first.id === event.id) count++;
      }
      last = id;
    }
    return { last, count, all: true };
  }
}

/** How a step ends that an event was given to. */
export function endOf(event: EventRecord): StepEnd {
  return { state: "completed", result: eventResult(event), eventId: event.id };
}
