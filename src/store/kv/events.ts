/**
 * Events. One for a single run is kept, and given to the step that waits for it, in one commit. One for
 * all is kept first; then it is given to all who wait, commit by commit, each of which moves the mark
 * of how far it is. Whoever finds such a mark goes on with it, so the sender may die at any point. That
 * no run is given one twice is seen to by what says which it has taken.
 *
 *     event kept id                            the event
 *     event run  id createdAt event            where a late waiter finds it, and its name
 *     event all  name key createdAt event      likewise
 *     event age  createdAt event               for retention
 *     event once run name idempotencyKey       id of the event that has the key
 *     event due  id                            the mark: the last run it was given to, and how many were
 */

import { notFound, wrongState } from "../../core/errors.ts";
import type { EventRecord, NewEvent } from "../../core/event.ts";
import { withPrefix } from "../../core/id.ts";
import type { EventStore } from "../run_store.ts";
import type { KvEntry, KvKey } from "./client.ts";
import type { Database } from "./database.ts";
import { type Deliveries, endOf } from "./deliveries.ts";
import { Draft } from "./draft.ts";
import type { KeptEvents } from "./kept_events.ts";
import type { Meetings, Met } from "./meetings.ts";
import type { Moves } from "./moves.ts";
import type { Reader } from "./reader.ts";
import type { RunSteps } from "./run_steps.ts";
import { decode } from "./value.ts";

/** An event, where its idempotency key is, and the run that it is for. */
interface Asked {
  readonly known: readonly (EventRecord | null)[];
  readonly once: readonly (KvEntry | null)[];
  readonly runs: ReadonlyMap<string, Met>;
}

/** The events of a KV store. */
export class KvEvents implements EventStore {
  readonly #database: Database;
  readonly #moves: Moves;
  readonly #reader: Reader;
  readonly #steps: RunSteps;
  readonly #meetings: Meetings;
  readonly #kept: KeptEvents;
  readonly #deliveries: Deliveries;

  constructor(parts: {
    database: Database;
    moves: Moves;
    reader: Reader;
    runSteps: RunSteps;
    meetings: Meetings;
    keptEvents: KeptEvents;
    deliveries: Deliveries;
  }) {
    this.#database = parts.database;
    this.#moves = parts.moves;
    this.#reader = parts.reader;
    this.#steps = parts.runSteps;
    this.#meetings = parts.meetings;
    this.#kept = parts.keptEvents;
    this.#deliveries = parts.deliveries;
  }

  async publish(events: readonly NewEvent[]): Promise<EventRecord[]> {
    const { known, runs } = await this.#ask(events);
    for (const [i, { jobId }] of events.entries()) {
      if (known[i] === null && jobId !== null) await this.#check(jobId, runs.get(jobId));
    }
    const records: EventRecord[] = [];
    while (records.length < events.length) {
      const left = events.slice(records.length);
      records.push(...await this.#database.insist(() => this.#publish(left)));
    }
    const delivered = new Map<string, number>();
    for (const { id, jobId } of records) {
      if (jobId === null && !delivered.has(id)) {
        delivered.set(id, await this.#deliveries.deliver(id));
      }
    }
    return records.map((event) => ({
      ...event,
      delivered: delivered.get(event.id) ?? event.delivered,
    }));
  }

  async prune(keepMs: number, limit: number): Promise<number> {
    const prefix = this.#database.keys.section("event", "age");
    const before = { prefix, end: [...prefix, this.#database.now() - keepMs] };
    let draft = new Draft();
    let pruned = 0;
    for await (const { key } of this.#database.list(before, { batchSize: 100 })) {
      if (pruned >= limit) break;
      const one = await this.#prunable(key.at(-1) as string);
      if (one === null) continue;
      if (!draft.fits(one)) {
        await this.#database.commit(draft);
        draft = new Draft();
      }
      draft.add(one);
      pruned++;
    }
    if (!draft.isEmpty) await this.#database.commit(draft);
    return pruned;
  }

  /** One commit: the first events, as many as fit, and of each run the first. `null` where it failed. */
  async #publish(events: readonly NewEvent[]): Promise<EventRecord[] | null> {
    const { known, once, runs } = await this.#ask(events);
    const maxChecks = await this.#database.maxChecks();
    const now = this.#database.now();
    const records: EventRecord[] = [];
    const draft = new Draft();
    const written = new Set<string>();
    for (const [i, event] of events.entries()) {
      const { jobId, idempotencyKey } = event;
      let record = known[i];
      if (record === null) {
        const names = [event.id, jobId, idempotencyKey && keyName(once[i]!.key)];
        if (names.some((name) => name !== null && written.has(name))) break;
        for (const name of names) if (name !== null) written.add(name);
        const one = new Draft();
        if (once[i] !== null) one.check(once[i]);
        record = { ...event, createdAt: now, delivered: 0 };
        if (jobId === null) this.#deliveries.begin(one, event.id);
        else {
          const given = await this.#give(one, record, await this.#check(jobId, runs.get(jobId)));
          if (given === null) return null;
          record = { ...record, delivered: given };
        }
        this.#kept.keep(one, record);
        if (!draft.fits(one, maxChecks)) break;
        draft.add(one);
      }
      records.push(record);
    }
    return draft.isEmpty || await this.#database.commit(draft, now) !== null ? records : null;
  }

  /** Gives an event to the first step of its run that waits for it; `null` where that has changed. */
  async #give(draft: Draft, event: EventRecord, run: Met): Promise<number | null> {
    draft.check(run.jobEntry);
    const waiting = (await this.#steps.pending(run.id)).find(({ record }) =>
      record.state === "open" && record.events.includes(event.name)
    );
    if (waiting === undefined) {
      draft.check(run.entry);
      return 0;
    }
    const { createdAt: now } = event;
    // The step may just have begun to wait, and is about to find one that came before this.
    const older = await this.#kept.first(run.id, run.job!.record.createdAt, waiting.record);
    this.#moves.runs.finish(draft, run.id, waiting, endOf(older ?? event), now);
    if (!await this.#meetings.meet(draft, run, now)) return null;
    return older === null ? 1 : 0;
  }

  /** What is there already of events, and of their runs. */
  async #ask(events: readonly NewEvent[]): Promise<Asked> {
    const { keys } = this.#database;
    const named = events.map(({ jobId, name, idempotencyKey }) =>
      idempotencyKey === null ? null : keys.eventOnce(jobId, name, idempotencyKey)
    );
    const asked = named.filter((key) => key !== null);
    const found = asked.length === 0 ? [] : await this.#database.getMany(asked);
    const once = named.map((key) => key === null ? null : found[asked.indexOf(key)]);
    const ids = events.map(({ id }, i) => {
      const holder = once[i]?.value ?? null;
      return holder === null ? id : decode<string>(holder);
    });
    const kept = await this.#kept.read(ids);
    const runs = await this.#meetings.read(events.flatMap(({ jobId }) => jobId ?? []));
    return { known: kept.map((event) => event?.record ?? null), once, runs };
  }

  async #check(jobId: string, run: Met | undefined): Promise<Met> {
    if (run !== undefined && run.job !== null) return run;
    const id = withPrefix("run", jobId);
    const [job] = run === undefined ? [null] : await this.#reader.get([jobId]);
    if (job === null) throw notFound("run", id);
    throw wrongState("send an event to", "run", id, job.state, "a run that has not ended");
  }

  /** What forgets an event; `null` where it is still to be delivered, or its run has not ended. */
  async #prunable(id: string): Promise<Draft | null> {
    const { keys } = this.#database;
    const [event] = await this.#kept.read([id]);
    if (event === null) return null;
    const { jobId } = event.record;
    const holding = jobId === null ? keys.eventDue(id) : keys.unfinished(jobId);
    if ((await this.#database.get(holding)).value !== null) return null;
    const draft = new Draft();
    this.#kept.drop(draft, event);
    return draft;
  }
}

function keyName(key: KvKey): string {
  return key.join("\u0000");
}
