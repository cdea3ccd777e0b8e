/**
 * The moves that every transition is made of: a job leaves where it is, waits, ends, dies. Each writes
 * to a draft and keeps all copies, indexes and counters right, so that the files beside this one only
 * say when a move is made.
 */

import type { EpochMs } from "../../core/clock.ts";
import { deadLetterOf, type DeadLetterRecord } from "../../core/dead_letter.ts";
import { withPrefix } from "../../core/id.ts";
import type { JobRecord } from "../../core/job.ts";
import type { Failure } from "../../core/outcome.ts";
import { isRunName, keyholderName, type RunState } from "../../core/run.ts";
import type { Draft } from "./draft.ts";
import { deletePieces, type Stored } from "./format.ts";
import { type Keys, shortened } from "./keys.ts";
import { jobs, letters, type StoredJob } from "./record.ts";
import { RunMoves } from "./run_moves.ts";
import type { Flow, StoredFlow } from "./run_record.ts";
import { encode } from "./value.ts";

/** Larger records are not copied to where they wait: they are read where they are. */
const MAX_COPY_BYTES = 4096;
const NO_COPY = new Uint8Array();

/** Writes the moves of one installation. */
export class Moves {
  /** Those of runs and their steps. */
  readonly runs: RunMoves;
  readonly #keys: Keys;

  constructor(keys: Keys) {
    this.runs = new RunMoves(keys);
    this.#keys = keys;
  }

  /** A job is new; what a run has beside it is that of a child, or of nobody's. */
  add(draft: Draft, record: JobRecord, now: EpochMs, flow?: Flow): void {
    this.wait(draft, record, null, now);
    if (isRunName(record.name)) this.runs.start(draft, record.id, flow);
  }

  /** A waiting or finished job is taken from its lists, not from its line. Its unique key stays. */
  leave(draft: Draft, { record }: StoredJob): void {
    const keys = this.#keys;
    draft.count(record.queue, record.state, -1);
    if (record.completedAt !== null && isRunName(record.name)) {
      draft.countRun(record.state as RunState, -1);
    }
    if (record.state !== "pending" && record.state !== "completed") {
      draft.delete(keys.inState(record.state, record.id));
    }
    if (record.completedAt !== null) draft.delete(keys.finished(record.id));
  }

  /** A running job is taken from its worker. */
  stop(draft: Draft, { record }: StoredJob): void {
    draft.delete(this.#keys.claim(record.id));
    draft.count(record.queue, "running", -1);
  }

  /** A job waits until its `runAt`; `before` is what its record was until now. */
  wait(draft: Draft, record: JobRecord, before: StoredJob | null, now: EpochMs): StoredJob {
    const keys = this.#keys;
    const { value, stored } = jobs.pack(draft, keys, record.id, record, before);
    draft.set(keys.unfinished(record.id), value);
    const copy = stored.pieces !== null || value.length > MAX_COPY_BYTES ? NO_COPY : value;
    if (record.runAt > now) draft.set(keys.delayed(record), copy);
    else if (copy === NO_COPY) draft.set(keys.ready(record), copy);
    else draft.ready(keys.ready(record), copy);
    if (record.state === "retrying") draft.set(keys.inState("retrying", record.id));
    draft.count(record.queue, record.state, 1);
    draft.wake(record.queue);
    return stored;
  }

  /** An unfinished job has ended; `flow` is what it has beside it as a run, and `after` will have. */
  async finish(
    draft: Draft,
    record: JobRecord,
    before: StoredJob,
    flow: StoredFlow | null,
    after?: Flow,
  ): Promise<void> {
    const keys = this.#keys;
    const { id, queue } = record;
    const state = record.state as "completed" | "failed" | "cancelled";
    const { value } = jobs.pack(draft, keys, id, record, before);
    draft.delete(keys.unfinished(id));
    draft.set(keys.finished(id), value);
    if (state !== "completed") draft.set(keys.inState(state, id));
    draft.finish(state, id);
    draft.count(queue, state, 1);
    await this.freeKey(draft, record);
    if (flow !== null) this.runs.end(draft, record, flow, after);
  }

  /** The letter of a job that has died; `earlier` is that of a death before a retry. */
  letter(
    draft: Draft,
    job: JobRecord,
    failure: Failure,
    now: EpochMs,
    earlier: Stored<DeadLetterRecord> | null,
  ): void {
    const keys = this.#keys;
    const record = deadLetterOf(job, failure, now);
    if (earlier !== null) draft.delete(keys.letter(earlier.record.failedAt, record.id));
    const { value } = letters.pack(draft, keys, record.id, record, earlier);
    draft.set(keys.letter(now, record.id), value);
    draft.set(keys.letterPlace(record.id), encode(now));
  }

  /** A letter was replayed, or its job retried. */
  markReplayed(draft: Draft, letter: Stored<DeadLetterRecord>, now: EpochMs): void {
    const record = { ...letter.record, replayedAt: now };
    const { value } = letters.pack(draft, this.#keys, record.id, record, letter);
    draft.set(this.#keys.letter(record.failedAt, record.id), value);
  }

  /** A job is forgotten, after it has left. */
  async forget(
    draft: Draft,
    { record, pieces }: StoredJob,
    flow: StoredFlow | null,
  ): Promise<void> {
    deletePieces(draft, this.#keys, record.id, pieces);
    if (flow !== null) this.runs.gone(draft, record.id, flow);
    if (record.completedAt !== null) return;
    draft.delete(this.#keys.unfinished(record.id));
    await this.freeKey(draft, record);
  }

  /** A job holds its unique key. */
  async takeKey(
    draft: Draft,
    { id, name, uniqueKey }: Pick<JobRecord, "id" | "name" | "uniqueKey">,
  ): Promise<void> {
    if (uniqueKey !== null) draft.set(await this.keyOf(name, uniqueKey), encode(id));
  }

  /** A job does not hold its unique key any more. */
  async freeKey(draft: Draft, { name, uniqueKey }: JobRecord): Promise<void> {
    if (uniqueKey !== null) draft.delete(await this.keyOf(name, uniqueKey));
  }

  /** Where it says who holds a unique key. */
  async keyOf(name: string, uniqueKey: string) {
    return this.#keys.unique(keyholderName(name), await shortened(uniqueKey));
  }
}

/** Where the letter of a job is. */
export function letterIdOf(job: JobRecord): string {
  return withPrefix("dlq", job.id);
}
