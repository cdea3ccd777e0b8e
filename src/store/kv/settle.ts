/** How attempts end, and leases are extended and taken back. */

import type { EpochMs } from "../../core/clock.ts";
import type { JobRecord } from "../../core/job.ts";
import type { Lease, LeaseStatus } from "../../core/lease.ts";
import { CRASH_LOOP, type Failure, MAX_CRASHES, type Outcome } from "../../core/outcome.ts";
import type { Rewind } from "../../core/run.ts";
import type { LeaseExtension, Settlement, SettleStatus } from "../store.ts";
import type { Database } from "./database.ts";
import { Draft } from "./draft.ts";
import type { Heads } from "./heads.ts";
import type { Change, Leases } from "./leases.ts";
import type { Letters } from "./letters.ts";
import { letterIdOf, type Moves } from "./moves.ts";
import { claims, type Running, runningJob, type StoredJob } from "./record.ts";
import type { RunEnd, RunEnds } from "./run_ends.ts";

export class Settle {
  readonly #database: Database;
  readonly #heads: Heads;
  readonly #leases: Leases;
  readonly #letters: Letters;
  readonly #moves: Moves;
  readonly #runs: RunEnds;
  /** What was written of a call that failed half way: it is answered so when it is made again. */
  readonly #written = new Map<string, SettleStatus>();

  constructor(parts: {
    database: Database;
    heads: Heads;
    leases: Leases;
    letters: Letters;
    moves: Moves;
    runEnds: RunEnds;
  }) {
    this.#database = parts.database;
    this.#heads = parts.heads;
    this.#leases = parts.leases;
    this.#letters = parts.letters;
    this.#moves = parts.moves;
    this.#runs = parts.runEnds;
  }

  async settle(settlements: readonly Settlement[]): Promise<SettleStatus[]> {
    const statuses = new Array<SettleStatus>(settlements.length).fill("lost");
    const asked = new Map<string, number>(); // of two for one lease the first counts
    for (const [i, { lease }] of settlements.entries()) {
      const key = keyOf(lease);
      const known = this.#written.get(key);
      if (known !== undefined) statuses[i] = known;
      else if (!asked.has(key)) asked.set(key, i);
      this.#written.delete(key);
    }
    const open = [...asked.values()];
    const told: (SettleStatus | undefined)[] = [];
    const leases = open.map((i) => settlements[i].lease);
    const outcomeOf = (at: number) => settlements[open[at]].outcome;
    let runs: ReadonlyMap<string, RunEnd>;
    try {
      await this.#runs.lighten(open.map((i) => settlements[i]));
      await this.#leases.change<SettleStatus>(leases, {
        portion: await this.#runs.portion(leases.map((_, at) => outcomeOf(at))),
        prepare: async (found) => {
          runs = await this.#runs.read(found.map(([at, running]) => [running, outcomeOf(at)]));
        },
        build: (running, at, now) => {
          const run = runs.get(running.job.record.id) ?? null;
          return this.#settlement(running, outcomeOf(at), run, now);
        },
      }, told);
    } catch (error) {
      leases.forEach((lease, at) => told[at] && this.#written.set(keyOf(lease), told[at]));
      throw error;
    }
    open.forEach((i, at) => statuses[i] = told[at] ?? "lost");
    return statuses;
  }

  async extend(extensions: readonly LeaseExtension[], leaseMs: number): Promise<LeaseStatus[]> {
    const last = new Map<string, LeaseExtension>(); // of several reports for one lease the last counts
    for (const extension of extensions) {
      const key = keyOf(extension.lease);
      const progress = extension.progress ?? last.get(key)?.progress;
      last.set(key, progress === undefined ? extension : { ...extension, progress });
    }
    const asked = [...last.values()];
    const told: (LeaseStatus | undefined)[] = [];
    await this.#leases.change<LeaseStatus>(
      asked.map(({ lease }) => lease),
      {
        build: (running, at, now) =>
          this.#extension(running, now, now + leaseMs, asked[at].progress),
      },
      told,
    );
    const keys = [...last.keys()];
    const statuses = new Map(keys.map((key, at) => [key, told[at] ?? "lost"]));
    return extensions.map(({ lease }) => statuses.get(keyOf(lease))!);
  }

  /** Takes back a lease that has run out: what is written, and the job as it is then. */
  async rescue(
    running: Running,
    run: RunEnd | null,
    now: EpochMs,
  ): Promise<{ draft: Draft; job: JobRecord }> {
    const before = runningJob(running);
    const draft = this.#stop(before, run);
    const job = { ...before.record, crashes: before.record.crashes + 1 };
    const undoes = job.cancelRequested && run?.flow.record.compensating === true;
    if (job.cancelRequested && !undoes) {
      const cancelled = ended(job, "cancelled", job.failure, now);
      await this.#moves.finish(draft, cancelled, before, run?.flow ?? null);
      return { draft, job: cancelled };
    }
    if (job.crashes >= MAX_CRASHES && !undoes) {
      return { draft, job: await this.#die(draft, job, CRASH_LOOP, before, run, now) };
    }
    const waiting = waits({ ...job, cancelRequested: false }, now, now);
    this.#moves.wait(draft, waiting, before, now);
    return { draft, job: waiting };
  }

  /** What completes a job. */
  async completion(running: Running, result: string, now: EpochMs): Promise<Draft> {
    const run = (await this.#runs.read([[running, null]])).get(running.job.record.id) ?? null;
    const { draft } = await this.#settlement(running, { kind: "complete", result }, run, now);
    return draft;
  }

  async #settlement(
    running: Running,
    outcome: Outcome,
    run: RunEnd | null,
    now: EpochMs,
  ): Promise<Change<SettleStatus>> {
    const before = runningJob(running);
    const { record } = before;
    const draft = this.#stop(before, run);
    const flow = run?.flow ?? null;
    const cancelled = record.cancelRequested && outcome.kind !== "complete";
    if (cancelled && flow?.record.compensating) {
      // It was cancelled so that it undoes its steps first: it is ready to do that.
      this.#moves.wait(draft, waits({ ...record, cancelRequested: false }, now, now), before, now);
      return { draft, status: "compensating", claim: null };
    }
    if (cancelled || outcome.kind === "cancel") {
      const failure = outcome.kind === "cancel"
        ? { code: "cancelled", message: outcome.reason } as const
        : outcome.kind === "retry" || outcome.kind === "dead"
        ? outcome.failure
        : record.failure;
      await this.#moves.finish(draft, ended(record, "cancelled", failure, now), before, flow);
    } else if (outcome.kind === "complete") {
      const completed = { ...ended(record, "completed", null, now), result: outcome.result };
      await this.#moves.finish(draft, completed, before, flow);
    } else if (outcome.kind === "dead") {
      await this.#die(draft, record, outcome.failure, before, run, now, outcome.rewind);
    } else if (outcome.kind === "park") {
      const dueAt = this.#runs.park(draft, record.id, outcome, run, now);
      const next = { ...record, attempt: record.attempt - 1, crashes: 0 }; // it got somewhere
      this.#moves.wait(draft, waits(next, dueAt, now), before, now);
    } else if (outcome.kind === "compensate") {
      this.#runs.compensate(draft, record.id, outcome.cause, run);
      this.#moves.wait(draft, waits(record, now, now), before, now);
    } else {
      if (outcome.kind === "retry") this.#runs.forget(draft, record.id, run);
      const next = outcome.kind === "retry"
        ? { ...record, retryCount: record.retryCount + 1, failure: outcome.failure }
        : { ...record, attempt: record.attempt - 1 };
      this.#moves.wait(draft, waits(next, now + outcome.delayMs, now), before, now);
    }
    const status = cancelled && outcome.kind !== "cancel" ? "cancelled" : "settled";
    return { draft, status, claim: null };
  }

  #extension(
    running: Running,
    now: EpochMs,
    leaseUntil: EpochMs,
    progress: string | undefined,
  ): Promise<Change<LeaseStatus>> {
    const draft = new Draft();
    const { keys } = this.#database;
    const { id } = running.job.record;
    const record = {
      ...running.claim.record,
      token: running.token,
      leaseUntil,
      heartbeatAt: now,
      ...(progress !== undefined && { progress, updatedAt: now }),
    };
    const before = { ...running.claim, pieces: runningJob(running).pieces };
    const { value, stored: claim } = claims.pack(draft, keys, id, record, before);
    draft.set(keys.claim(id), value);
    return Promise.resolve({
      draft,
      status: record.cancelRequested ? "cancelling" : "held",
      claim,
    });
  }

  /** The job is taken from its worker, and a place in its queue may be free. */
  #stop(before: StoredJob, run: RunEnd | null): Draft {
    const draft = new Draft();
    this.#moves.stop(draft, before);
    if (run !== null && run.entry !== null) draft.check(run.entry);
    if (this.#heads.isLimited(before.record.queue)) draft.wake(before.record.queue);
    return draft;
  }

  async #die(
    draft: Draft,
    job: JobRecord,
    failure: Failure,
    before: StoredJob,
    run: RunEnd | null,
    now: EpochMs,
    rewind?: Rewind,
  ): Promise<JobRecord> {
    const dead = ended(job, "failed", failure, now);
    const flow = run?.flow ?? null;
    const after = flow === null || rewind === undefined ? undefined : { ...flow.record, rewind };
    await this.#moves.finish(draft, dead, before, flow, after);
    const earlier = await this.#letters.find(letterIdOf(dead));
    this.#moves.letter(draft, dead, failure, now, earlier?.letter ?? null);
    return dead;
  }
}

/** A job that has ended. */
export function ended(
  job: JobRecord,
  state: "completed" | "failed" | "cancelled",
  failure: Failure | null,
  now: EpochMs,
): JobRecord {
  return {
    ...job,
    state,
    failure: failure === null ? null : Object.freeze({ ...failure }),
    cancelRequested: false,
    completedAt: now,
    updatedAt: now,
  };
}

/** A job that waits until `runAt`. */
export function waits(job: JobRecord, runAt: EpochMs, now: EpochMs): JobRecord {
  return {
    ...job,
    state: job.retryCount > 0 ? "retrying" : "pending",
    failure: job.failure === null ? null : Object.freeze({ ...job.failure }),
    completedAt: null,
    runAt,
    updatedAt: now,
  };
}

function keyOf({ jobId, token }: Lease): string {
  return `${jobId} ${token}`;
}
