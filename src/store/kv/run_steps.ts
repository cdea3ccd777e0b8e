/** Reads what runs have beside their jobs, and what is remembered of their steps. */

import type { Checkpoint } from "../../core/run.ts";
import type { CheckpointQuery, RunRest } from "../run_store.ts";
import type { KvEntry, KvKey } from "./client.ts";
import type { Database } from "./database.ts";
import type { Leases } from "./leases.ts";
import type { Running } from "./record.ts";
import {
  flows,
  NEW_FLOW,
  shown,
  stepPieces,
  steps,
  type StoredFlow,
  type StoredStep,
} from "./run_record.ts";

/** What a run has beside its job, and what a commit checks to be sure that it is still so. */
export interface FoundFlow {
  readonly flow: StoredFlow;
  /** `null` where the fence of leases guards it. */
  readonly entry: KvEntry | null;
}

export class RunSteps {
  readonly #database: Database;
  readonly #leases: Leases;

  constructor(database: Database, leases: Leases) {
    this.#database = database;
    this.#leases = leases;
  }

  /** What runs have beside their jobs; `null` for what is no run. */
  async flows(ids: readonly string[]): Promise<({ flow: StoredFlow; entry: KvEntry } | null)[]> {
    const { keys } = this.#database;
    const entries = ids.length === 0
      ? []
      : await this.#database.getMany(ids.map((id) => keys.run(id)));
    return await Promise.all(entries.map(async (entry, i) => {
      if (entry.value === null) return null;
      const flow = await this.#database.complete(flows, ids[i], flows.unpack(entry.value));
      return { flow, entry };
    }));
  }

  /**
   * The same of runs that are executing. What is known of those that are held here is not read again,
   * unless others write to them and what they wrote counts.
   *
   * @param anew true for a run whose entry is to be checked
   */
  async flowsOf(
    running: readonly Running[],
    anew: (running: Running) => boolean = () => false,
  ): Promise<Map<string, FoundFlow>> {
    const found = new Map<string, FoundFlow>();
    const asked: Running[] = [];
    for (const one of running) {
      const { id } = one.job.record;
      const known = one.slice?.flow;
      if (known === undefined || anew(one)) asked.push(one);
      else found.set(id, { flow: known, entry: null });
    }
    const read = await this.flows(asked.map(({ job }) => job.record.id));
    for (const [i, one] of asked.entries()) {
      const run = read[i];
      if (run === null) continue;
      if (one.slice !== null) one.slice.flow = run.flow;
      const guarded = one.slice !== null && !anew(one);
      found.set(one.job.record.id, guarded ? { flow: run.flow, entry: null } : run);
    }
    return found;
  }

  /** What runs go on with that were claimed. */
  async resume(ids: readonly string[], limit: number): Promise<RunRest[]> {
    const slices = ids.map((id) => this.#leases.slice(id)); // before the read: it is of no use later
    const found = await this.flows(ids);
    for (const [i, slice] of slices.entries()) {
      if (slice !== null && found[i] !== null) slice.flow ??= found[i].flow;
    }
    return await Promise.all(ids.map(async (jobId, i) => {
      const { compensating, cause, since } = found[i]?.flow.record ?? NEW_FLOW;
      const query = { jobId, after: null, limit, pending: false };
      return { compensating, cause, since, checkpoints: await this.checkpoints(query) };
    }));
  }

  /** The highest position of a run at which something is remembered; -Infinity where nothing is. */
  async top({ job, slice }: Running): Promise<number> {
    if (slice?.top !== undefined) return slice.top;
    const { id } = job.record;
    const tops = await Promise.all(
      (["open", "step"] as const).map((section) =>
        this.#database.page({ prefix: this.#database.keys.section(section, id) }, 1, true)
      ),
    );
    const top = Math.max(...tops.flat().map(({ key }) => positionOf(key)));
    if (slice !== null) slice.top = top;
    return top;
  }

  /** Steps by the keys that they may be at. */
  async at(keys: readonly KvKey[]): Promise<(StoredStep | null)[]> {
    const entries = keys.length === 0 ? [] : await this.#database.getMany(keys);
    return await Promise.all(
      entries.map((entry) => entry.value === null ? null : this.stored(entry)),
    );
  }

  /** Steps whose result was not given to the code yet: those that are open, and those that have ended. */
  async pending(id: string): Promise<StoredStep[]> {
    const entries = await this.#database.page(
      { prefix: this.#database.keys.section("open", id) },
      100_000,
    );
    return await this.#all(entries);
  }

  /** Everything that is remembered of a run from a position on, or also before it. */
  async all(id: string, from = -Infinity): Promise<StoredStep[]> {
    const found = await this.#entries(id, from, 100_000, false);
    return await this.#all(found);
  }

  async checkpoints({ jobId, after, limit, pending }: CheckpointQuery): Promise<Checkpoint[]> {
    const slice = this.#leases.slice(jobId); // before the read: it is of no use if it is another then
    const flow = slice?.flow?.record;
    if (flow?.begun === false) {
      slice!.top ??= -Infinity;
      return [];
    }
    const unopened = flow?.opened === false;
    const from = after === null ? -Infinity : after + 1;
    const entries = pending
      ? unopened ? [] : await this.#page("open", jobId, from, limit)
      : await this.#entries(jobId, from, limit, unopened);
    if (!pending && slice !== null && entries.length < limit) {
      slice.top ??= entries.length > 0 ? positionOf(entries.at(-1)!.key) : after ?? -Infinity;
    }
    const now = this.#database.now();
    return (await this.#all(entries)).map((step) => shown(step, now));
  }

  /** A step with all of its fields. */
  async stored({ key, value }: KvEntry): Promise<StoredStep> {
    const id = stepPieces(key[2] as string, positionOf(key));
    return await this.#database.complete(steps, id, steps.unpack(value));
  }

  /** Open ones first: one that is given to the code meanwhile is then in both, and not in none. */
  async #entries(id: string, from: number, limit: number, unopened: boolean): Promise<KvEntry[]> {
    const open = unopened ? [] : await this.#page("open", id, from, limit);
    const given = await this.#page("step", id, from, limit);
    if (open.length === 0) return given;
    const all = new Map([...open, ...given].map((entry) => [positionOf(entry.key), entry]));
    return [...all.values()].sort((a, b) => positionOf(a.key) - positionOf(b.key)).slice(0, limit);
  }

  #page(section: "open" | "step", id: string, from: number, limit: number): Promise<KvEntry[]> {
    const prefix = this.#database.keys.section(section, id);
    const selector = from === -Infinity ? { prefix } : { prefix, start: [...prefix, from] };
    return this.#database.page(selector, limit);
  }

  #all(entries: readonly KvEntry[]): Promise<StoredStep[]> {
    return Promise.all(entries.map((entry) => this.stored(entry)));
  }
}

function positionOf(key: KvKey): number {
  return key[3] as number;
}
