/**
 * What runs write under their leases. Steps of any number of runs share a commit, which checks the
 * fence of leases. Another check is only needed where somebody else may write to the same step: where
 * one ends that has waited for an event, or takes one.
 */

import type { EpochMs } from "../../core/clock.ts";
import { DispatchError } from "../../core/errors.ts";
import { eventResult } from "../../core/event.ts";
import { newRecord } from "../../core/job.ts";
import type { Lease } from "../../core/lease.ts";
import type { Accepted, Checkpoint } from "../../core/run.ts";
import type { StepStatus, StepWait, StepWrite } from "../run_store.ts";
import { waitOf } from "../wait.ts";
import type { Database } from "./database.ts";
import { Draft } from "./draft.ts";
import type { KeptEvents } from "./kept_events.ts";
import type { Change, Leases } from "./leases.ts";
import type { Moves } from "./moves.ts";
import type { Running } from "./record.ts";
import { type Group, group, groupItems, type SaveItem, type WaitItem } from "./run_items.ts";
import { Prepared } from "./run_prepared.ts";
import { type Flow, NEW_FLOW, shown, stepOf } from "./run_record.ts";
import type { RunSteps } from "./run_steps.ts";

/** A step that waits has a key for each name of an event, all written in one commit. */
const MAX_NAMES = 400;

/** A wait that has begun, by a run that was started then. */
type Waiting = readonly [item: WaitItem, startedAt: EpochMs];

/** A change of a run, as it is collected. */
interface Collecting {
  readonly running: Running;
  readonly draft: Draft;
  readonly now: EpochMs;
  readonly prepared: Prepared;
  /** Positions that are written to. */
  readonly written: Set<number>;
  /** Called once it is written. */
  readonly answers: (() => void)[];
  /** What the run has beside its job then. */
  flow: Flow;
  /** True where they have to find it: a wait for an event has begun or ended, or one was taken. */
  meets: boolean;
  top: number;
}

export class RunWrites {
  readonly #database: Database;
  readonly #leases: Leases;
  readonly #moves: Moves;
  readonly #steps: RunSteps;
  readonly #events: KeptEvents;

  constructor(parts: {
    database: Database;
    leases: Leases;
    moves: Moves;
    runSteps: RunSteps;
    keptEvents: KeptEvents;
  }) {
    this.#database = parts.database;
    this.#leases = parts.leases;
    this.#moves = parts.moves;
    this.#steps = parts.runSteps;
    this.#events = parts.keptEvents;
  }

  async save(writes: readonly StepWrite[]): Promise<StepStatus[]> {
    const statuses = new Array<StepStatus>(writes.length).fill("lost");
    await this.#write(group(writes, (write, at): SaveItem => ({
      write,
      position: write.position,
      answer: (status) => statuses[at] = status,
    })));
    return statuses;
  }

  /**
   * An event may come between the look for one and the write that a step waits. Its sender looks for
   * waiting steps after it was written, and this looks for events after that write: one finds the other.
   * The sender of a second event may find the step before that look, and then gives it the first one.
   */
  async wait(waits: readonly StepWait[]): Promise<(Checkpoint | null)[]> {
    const found = new Array<Checkpoint | null>(waits.length).fill(null);
    let begun = await this.#write(group(waits, (wait, at): WaitItem => ({
      wait,
      position: wait.position,
      answer: (checkpoint) => found[at] = checkpoint,
    })));
    while (begun.length > 0) {
      const late = await Promise.all(
        begun.map(([{ wait }, startedAt]) => this.#events.first(wait.lease.jobId, startedAt, wait)),
      );
      const again = begun.filter((_, i) => late[i] !== null);
      begun = await this.#write(groupItems(again.map(([item]) => [item.wait.lease, item])));
    }
    return found;
  }

  /** Notes what was given to the code, where that is too much for the commit that parks a run. */
  async accept(lease: Lease, accepted: readonly Accepted[]): Promise<void> {
    await this.#write([{ lease, items: accepted.map((one) => ({ accepted: one })) }]);
  }

  /** Writes it all, and returns the items that have begun to wait for an event. */
  async #write(groups: readonly Group[]): Promise<Waiting[]> {
    const waiting: Waiting[] = [];
    const readers = { database: this.#database, steps: this.#steps, events: this.#events };
    for (let left = groups; left.length > 0;) {
      const current = left;
      const done: (number | undefined)[] = [];
      let prepared: Prepared;
      await this.#leases.change<number>(current.map(({ lease }) => lease), {
        prepare: async (found) => {
          const runs = found.map(([at, running]) => ({ running, items: current[at].items }));
          prepared = await Prepared.read(readers, runs);
        },
        build: (running, at, now) =>
          Promise.resolve(this.#collect(running, current[at].items, prepared, now, waiting)),
      }, done);
      left = current.flatMap(({ lease, items }, i) => {
        const rest = items.slice(done[i] ?? items.length);
        return rest.length === 0 ? [] : [{ lease, items: rest }];
      });
    }
    return waiting;
  }

  /** As many of the items as fit into a commit; the status is how many. */
  #collect(
    running: Running,
    items: Group["items"],
    prepared: Prepared,
    now: EpochMs,
    waiting: Waiting[],
  ): Change<number> {
    const { id } = running.job.record;
    const found = prepared.flows.get(id);
    if (found === undefined) return { draft: new Draft(), status: items.length }; // it is no run
    const { flow, entry } = found;
    const run: Collecting = {
      running,
      prepared,
      now,
      draft: new Draft(),
      written: new Set(),
      answers: [],
      flow: flow.record,
      meets: false,
      top: prepared.tops.get(id)!,
    };
    let count = 0;
    for (const item of items.slice(0, Prepared.MAX_ITEMS)) {
      const one = "accepted" in item
        ? this.#accept(run, item.accepted)
        : run.written.has(item.position)
        ? null
        : "write" in item
        ? this.#save(run, item)
        : this.#wait(run, item, waiting);
      if (one === null || count > 0 && !run.draft.fits(one)) break;
      run.draft.add(one);
      count++;
    }
    const changed = run.flow !== flow.record || run.meets;
    if (entry !== null && changed) run.draft.check(entry);
    const stored = changed ? this.#moves.runs.write(run.draft, id, run.flow, flow) : flow;
    return {
      draft: run.draft,
      status: count,
      written: ({ slice }) => {
        if (slice !== null) Object.assign(slice, { flow: stored, top: run.top });
        for (const answer of run.answers.slice(0, count)) answer();
      },
    };
  }

  #accept(run: Collecting, { position, seq }: Accepted): Draft {
    const one = new Draft();
    const id = run.running.job.record.id;
    const entry = run.prepared.open(id, position);
    run.answers.push(() => {});
    if (entry === null || run.written.has(position)) return one;
    if (run.prepared.step(id, position)?.record.state === "open") return one;
    run.written.add(position);
    this.#moves.runs.accept(one, id, position, entry.value, seq);
    return one;
  }

  #save(run: Collecting, { write, answer }: SaveItem): Draft {
    const one = new Draft();
    const { running: { job, claim }, now } = run;
    const { id } = job.record;
    const { position, child } = write;
    const before = run.prepared.step(id, position);
    const ended = before !== null && before.record.state !== "open";
    if (ended || before !== null && child !== undefined) {
      run.answers.push(() => answer("kept"));
      return one;
    }
    if (child !== undefined && claim.record.cancelRequested) {
      run.answers.push(() => answer("lost"));
      return one;
    }
    this.#moves.runs.put(one, id, stepOf(write, before, now), before);
    note(run, position, { opened: write.seq === null, bears: child !== undefined });
    if (child !== undefined) {
      const parentPosition = write.state === "open" ? position : null;
      const flow = { ...NEW_FLOW, parentId: id, parentPosition };
      this.#moves.add(one, newRecord(child, now), now, flow);
    }
    run.answers.push(() => answer("saved"));
    return one;
  }

  #wait(
    run: Collecting,
    item: WaitItem,
    waiting: Waiting[],
  ): Draft | null {
    const { now } = run;
    const { wait, answer } = item;
    const one = new Draft();
    const { id, createdAt } = run.running.job.record;
    const before = run.prepared.step(id, wait.position);
    const tell = (record: Checkpoint) => answer(shown({ record, pieces: null }, now));
    if (before !== null && before.record.state !== "open") {
      run.answers.push(() => tell(before.record));
      return one;
    }
    const event = run.prepared.kept.get(wait) ?? null;
    if (event !== null && run.meets) return null; // it may be the one that was just taken
    let step = before?.record ?? waitOf(wait, now);
    const over = step.until !== null && step.until <= now;
    const end = event !== null
      ? { state: "completed", result: eventResult(event), eventId: event.id } as const
      : over
      ? { state: "completed", result: "null" } as const
      : null;
    if (end !== null && before !== null) {
      step = this.#moves.runs.finish(one, id, before, end, now);
    } else if (before === null) {
      if (end !== null) step = { ...step, ...end, endedAt: now };
      this.#moves.runs.put(one, id, step, null);
      if (event !== null) this.#moves.runs.take(one, id, event.id);
      if (end === null) this.#moves.runs.wait(one, id, step);
    }
    const hears = wait.events.length > 0;
    if (wait.events.length > MAX_NAMES) throw tooManyNames(wait);
    note(run, wait.position, { opened: true, hears });
    // A sleep is ended by its run alone.
    if (hears && (end !== null || before === null)) run.meets = true;
    run.answers.push(() => {
      tell(step);
      if (end === null && hears) waiting.push([item, createdAt]);
    });
    return one;
  }
}

function tooManyNames({ name, events }: StepWait): DispatchError {
  return new DispatchError(
    "invalid_step",
    `Cannot have ${name} wait for ${events.length} names of events: a KV takes ${MAX_NAMES}`,
  );
}

/** A position is written to, and what that says of the run from now on. */
function note(run: Collecting, position: number, is: Partial<Flow>): void {
  run.written.add(position);
  run.top = Math.max(run.top, position);
  const { flow } = run;
  const after: Flow = {
    ...flow,
    begun: true,
    opened: flow.opened || is.opened === true,
    hears: flow.hears || is.hears === true,
    bears: flow.bears || is.bears === true,
  };
  const same = flow.begun && flow.opened === after.opened && flow.hears === after.hears &&
    flow.bears === after.bears;
  if (!same) run.flow = after;
}
