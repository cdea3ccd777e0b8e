/** How slices of runs end: what `settle.ts` writes of them beside their jobs. */

import type { EpochMs } from "../../core/clock.ts";
import type { Lease } from "../../core/lease.ts";
import type { Failure, Outcome } from "../../core/outcome.ts";
import { isRewound } from "../../core/resumption.ts";
import { isRunName, NEVER } from "../../core/run.ts";
import type { Settlement } from "../store.ts";
import type { Database } from "./database.ts";
import { Draft } from "./draft.ts";
import type { Leases } from "./leases.ts";
import type { Moves } from "./moves.ts";
import type { Running } from "./record.ts";
import { roomFor } from "./run_moves.ts";
import { isMet, type StoredStep } from "./run_record.ts";
import type { FoundFlow, RunSteps } from "./run_steps.ts";
import type { RunWrites } from "./run_writes.ts";

type Park = Extract<Outcome, { kind: "park" }>;

/** A run that ends a slice, and the steps that this changes. */
export interface RunEnd extends FoundFlow {
  readonly steps: readonly StoredStep[];
}

/** So many results are noted as given in the commit that parks a run; others are before it. */
const MAX_ACCEPTED = 60;

export class RunEnds {
  readonly #database: Database;
  readonly #leases: Leases;
  readonly #moves: Moves;
  readonly #steps: RunSteps;
  readonly #writes: RunWrites;

  constructor(parts: {
    database: Database;
    leases: Leases;
    moves: Moves;
    runSteps: RunSteps;
    runWrites: RunWrites;
  }) {
    this.#database = parts.database;
    this.#leases = parts.leases;
    this.#moves = parts.moves;
    this.#steps = parts.runSteps;
    this.#writes = parts.runWrites;
  }

  /**
   * Reads what the ends of slices depend on. A run that parks meets those who write to it at its
   * entry, which is therefore read first, and checked.
   */
  async read(
    ends: readonly (readonly [running: Running, outcome: Outcome | null])[],
  ): Promise<Map<string, RunEnd>> {
    const runs = ends.filter(([{ job }]) => isRunName(job.record.name));
    const outcomes = new Map(runs.map(([{ job }, outcome]) => [job.record.id, outcome]));
    const found = await this.#steps.flowsOf(
      runs.map(([running]) => running),
      ({ job, slice }) => {
        const outcome = outcomes.get(job.record.id);
        if (rewindOf(outcome) !== null) return true;
        return outcome?.kind === "park" && (!slice?.flow || isMet(slice.flow.record));
      },
    );
    return new Map(
      await Promise.all([...found].map(async ([id, run]) => {
        const steps = run.flow.record.opened || rewindOf(outcomes.get(id)) !== null
          ? await this.#changed(id, outcomes.get(id))
          : [];
        return [id, { ...run, steps }] as const;
      })),
    );
  }

  /** How many ends are read for one commit: a run that parks may need a check. */
  async portion(outcomes: readonly Outcome[]): Promise<number> {
    const checked = ({ kind }: Outcome) => kind === "park" || kind === "retry";
    return outcomes.some(checked) ? 3 * await this.#database.maxChecks() : Infinity;
  }

  /** Does beforehand what is too much for the commit that ends a slice. */
  async lighten(settlements: readonly Settlement[]): Promise<void> {
    for (const { lease, outcome } of settlements) {
      if (outcome.kind === "park" && outcome.accepted.length > MAX_ACCEPTED) {
        await this.#writes.accept(lease, outcome.accepted);
      }
      if (rewindOf(outcome) === null) continue;
      const steps = await this.#changed(lease.jobId, outcome);
      if (roomFor(steps) === steps.length) continue;
      for (let left: number | undefined = Infinity; left;) left = await this.#trim(lease, outcome);
    }
  }

  /** The run is due at once where something has come that its code does not know. */
  park(
    draft: Draft,
    id: string,
    { timed, deadline, accepted }: Park,
    run: RunEnd | null,
    now: EpochMs,
  ): EpochMs {
    let due = deadline ?? NEVER;
    if (run === null) return due;
    const { flow, steps } = run;
    const seqs = new Map(accepted.map(({ position, seq }) => [position, seq]));
    let unknown = false;
    for (const step of steps) {
      const { state, position, until } = step.record;
      const seq = seqs.get(position);
      if (state === "open") {
        if (until !== null && timed.includes(position)) due = Math.min(due, until);
      } else if (seq === undefined) unknown = true;
      else this.#moves.runs.put(draft, id, { ...step.record, seq }, step);
    }
    if (isMet(flow.record)) this.#moves.runs.write(draft, id, flow.record, flow);
    return unknown && !flow.record.compensating ? now : due;
  }

  /** It is to undo its steps. */
  compensate(draft: Draft, id: string, cause: Failure, run: RunEnd | null): void {
    if (run === null) return;
    const { flow } = run;
    this.#moves.runs.turn(draft, id, { ...flow.record, compensating: true, cause }, flow);
  }

  /** Forgets as many steps as fit into a commit, from the last on; returns how many are too many still. */
  async #trim(lease: Lease, outcome: Outcome): Promise<number | undefined> {
    const told: (number | undefined)[] = [];
    const { runs } = this.#moves;
    let end: RunEnd | undefined;
    await this.#leases.change<number>([lease], {
      prepare: async ([found]) => {
        end = found && (await this.read([[found[1], outcome]])).get(lease.jobId);
      },
      build: ({ job: { record: { id } } }) => {
        const draft = new Draft();
        const room = roomFor(end?.steps ?? []);
        if (end === undefined || end.steps.length === room) {
          return Promise.resolve({ draft, status: 0 });
        }
        draft.check(end.entry!);
        runs.write(draft, id, end.flow.record, end.flow);
        const left = runs.forgetLast(draft, id, end.steps, room);
        return Promise.resolve({ draft, status: left - room });
      },
    }, told);
    return told[0];
  }

  /** It forgets the failure that ended its attempt, and what that led to. */
  forget(draft: Draft, id: string, run: RunEnd | null): void {
    if (run === null || run.steps.length === 0) return;
    for (const step of run.steps) this.#moves.runs.forget(draft, id, step);
    this.#moves.runs.write(draft, id, run.flow.record, run.flow);
  }

  async #changed(id: string, outcome: Outcome | null | undefined): Promise<StoredStep[]> {
    if (outcome?.kind === "park") return await this.#steps.pending(id);
    const rewind = rewindOf(outcome);
    if (rewind === null) return [];
    const steps = await this.#steps.all(id, Math.min(rewind.step, rewind.from));
    return steps.filter(({ record }) => isRewound(record, rewind));
  }
}

/** What a retry forgets. */
function rewindOf(outcome: Outcome | null | undefined) {
  return outcome?.kind === "retry" ? outcome.rewind ?? null : null;
}
