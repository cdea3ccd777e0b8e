import type { EventRecord } from "../../core/event.ts";
import type { StepWait } from "../run_store.ts";
import type { KvEntry } from "./client.ts";
import type { Database } from "./database.ts";
import type { KeptEvents } from "./kept_events.ts";
import type { Running } from "./record.ts";
import type { Item, WaitItem } from "./run_items.ts";
import type { StoredStep } from "./run_record.ts";
import type { FoundFlow, RunSteps } from "./run_steps.ts";

/** A run, and what it is about to write. */
interface Writing {
  readonly running: Running;
  readonly items: readonly Item[];
}

/** What reads. */
interface Readers {
  readonly database: Database;
  readonly steps: RunSteps;
  readonly events: KeptEvents;
}

/**
 * What is read before runs write, for all of them at once. A step that is behind all that is remembered
 * of its run needs no read.
 */
export class Prepared {
  /** So many writes of one run are in a commit at most. */
  static readonly MAX_ITEMS = 200;

  /** What the runs have beside their jobs. */
  readonly flows: ReadonlyMap<string, FoundFlow>;
  /** The highest positions at which something is remembered. */
  readonly tops = new Map<string, number>();
  /** Events that end waits. */
  readonly kept = new Map<StepWait, EventRecord | null>();
  readonly #open = new Map<string, KvEntry>();
  readonly #steps = new Map<string, StoredStep>();

  private constructor(flows: ReadonlyMap<string, FoundFlow>) {
    this.flows = flows;
  }

  static async read(readers: Readers, runs: readonly Writing[]): Promise<Prepared> {
    const { steps } = readers;
    const running = runs.map((run) => run.running);
    // Of a run that may take an event, or end a wait for one, the entry is checked: it comes first.
    const waits = new Set(
      runs.filter(({ items }) => items.some(isEventWait)).map((r) => r.running),
    );
    const prepared = new Prepared(await steps.flowsOf(running, (one) => waits.has(one)));
    await Promise.all(running.map(async (one) => {
      const { id } = one.job.record;
      const { begun = false } = prepared.flows.get(id)?.flow.record ?? {};
      prepared.tops.set(id, begun ? await steps.top(one) : -Infinity);
    }));
    await prepared.#readSteps(readers, runs);
    await prepared.#readEvents(readers, runs);
    return prepared;
  }

  /** What is remembered at a position. */
  step(id: string, position: number): StoredStep | null {
    return this.#steps.get(`${id} ${position}`) ?? null;
  }

  /** Where a step is whose result was not given to the code. */
  open(id: string, position: number): KvEntry | null {
    return this.#open.get(`${id} ${position}`) ?? null;
  }

  async #readSteps({ database, steps }: Readers, runs: readonly Writing[]): Promise<void> {
    const { keys } = database;
    const asked = runs.flatMap(({ running: { job: { record: { id } } }, items }) =>
      items.slice(0, Prepared.MAX_ITEMS).flatMap((item) => {
        if ("accepted" in item) return [keys.open(id, item.accepted.position)];
        if (item.position > this.tops.get(id)!) return [];
        return [keys.open(id, item.position), keys.step(id, item.position)];
      })
    );
    if (asked.length === 0) return;
    const found = (await database.getMany(asked)).filter(({ value }) => value !== null);
    const stored = await Promise.all(found.map((entry) => steps.stored(entry)));
    for (const [i, entry] of found.entries()) {
      const name = `${entry.key[2] as string} ${entry.key[3] as number}`;
      this.#steps.set(name, stored[i]);
      if (entry.key[1] === "open") this.#open.set(name, entry);
    }
  }

  async #readEvents({ events }: Readers, runs: readonly Writing[]): Promise<void> {
    const asked = runs.flatMap(({ running: { job: { record } }, items }) =>
      items.slice(0, Prepared.MAX_ITEMS).flatMap((item) => {
        if (!isEventWait(item)) return [];
        const before = this.step(record.id, item.position);
        return before === null || before.record.state === "open"
          ? [{ wait: item.wait, id: record.id, startedAt: record.createdAt }]
          : [];
      })
    );
    const kept = await Promise.all(
      asked.map(({ id, startedAt, wait }) => events.first(id, startedAt, wait)),
    );
    asked.forEach(({ wait }, i) => this.kept.set(wait, kept[i]));
  }
}

function isEventWait(item: Item): item is WaitItem {
  return "wait" in item && item.wait.events.length > 0;
}
