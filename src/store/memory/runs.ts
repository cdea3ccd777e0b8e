import type { EpochMs } from "../../core/clock.ts";
import { notFound, uniqueConflict, wrongState } from "../../core/errors.ts";
import { eventResult } from "../../core/event.ts";
import { withPrefix } from "../../core/id.ts";
import { newRecord } from "../../core/job.ts";
import {
  type Checkpoint,
  isRunName,
  noRuns,
  parseRunName,
  type RunCounts,
  type RunRecord,
} from "../../core/run.ts";
import { runStateOf } from "../../core/run_view.ts";
import type {
  CheckpointQuery,
  RunQuery,
  RunRest,
  RunStore,
  StepStatus,
  StepWait,
  StepWrite,
  UnservedRuns,
} from "../run_store.ts";
import type { Page } from "../store.ts";
import { waitOf } from "../wait.ts";
import { copyJob, type Entry, isFinished, isWaiting } from "./entry.ts";
import { MemoryEvents } from "./events.ts";
import { pageOf } from "./page.ts";
import { RunBook, type RunEntry, type Step } from "./run_book.ts";
import type { MemoryState } from "./state.ts";
import { revive } from "./verbs.ts";

const MAX_OPEN_SHOWN = 20;

/** The runs of a memory store, and its events. Its state holds runs from then on. */
export class MemoryRuns implements RunStore {
  readonly events: MemoryEvents;
  readonly #state: MemoryState;
  readonly #book: RunBook;

  constructor(state: MemoryState, maxEvents: number) {
    this.#state = state;
    this.#book = state.runs = new RunBook(state);
    this.events = new MemoryEvents(state, this.#book, maxEvents);
  }

  // deno-lint-ignore require-await -- async turns a throw into a rejection
  async get(jobIds: readonly string[]): Promise<(RunRecord | null)[]> {
    return jobIds.map((id) => {
      const entry = this.#state.jobs.get(id);
      return entry === undefined || !isRunName(entry.job.name) ? null : this.#record(entry);
    });
  }

  async resume(jobIds: readonly string[], limit: number): Promise<RunRest[]> {
    const query = { after: null, limit, pending: false };
    const pages = await this.checkpoints(jobIds.map((jobId) => ({ jobId, ...query })));
    return jobIds.map((id, i) => {
      const { compensating = false, cause = null, since = null } = this.#book.find(id) ?? {};
      return { compensating, cause, since, checkpoints: pages[i] };
    });
  }

  // deno-lint-ignore require-await
  async list({ state, name, parentId, ...page }: RunQuery): Promise<Page<RunRecord>> {
    const { items, nextCursor } = pageOf(
      this.#state.jobLog,
      page,
      (entry) =>
        isRunName(entry.job.name) &&
        (name === undefined || parseRunName(entry.job.name).name === name) &&
        (state === undefined || runStateOf(this.#record(entry)) === state) &&
        (parentId === undefined || this.#book.find(entry.job.id)?.parentId === parentId),
    );
    return { items: items.map((entry) => this.#record(entry)), nextCursor };
  }

  // deno-lint-ignore require-await
  async counts(): Promise<RunCounts> {
    const counts = noRuns();
    for (const entry of this.#state.jobs.values()) {
      if (isRunName(entry.job.name)) counts[runStateOf(this.#record(entry))]++;
    }
    return counts;
  }

  // deno-lint-ignore require-await
  async save(writes: readonly StepWrite[]): Promise<StepStatus[]> {
    const now = this.#state.clock.now();
    return writes.map((write) => this.#save(write, now));
  }

  // deno-lint-ignore require-await
  async wait(waits: readonly StepWait[]): Promise<(Checkpoint | null)[]> {
    const now = this.#state.clock.now();
    return waits.map((wait) => this.#wait(wait, now));
  }

  // deno-lint-ignore require-await
  async checkpoints(queries: readonly CheckpointQuery[]): Promise<Checkpoint[][]> {
    const now = this.#state.clock.now();
    return queries.map(({ jobId, after, limit, pending }) => {
      const run = this.#book.find(jobId);
      if (run === undefined) return [];
      return [...(pending ? run.pending : run.steps).values()]
        .filter(({ position }) => after === null || position > after)
        .sort((a, b) => a.position - b.position)
        .slice(0, limit)
        .map((step) => copyStep(step, now));
    });
  }

  // deno-lint-ignore require-await
  async compensate(jobId: string): Promise<RunRecord> {
    const entry = this.#find(jobId);
    const { job } = entry;
    if (isFinished(job.state)) {
      throw refuse("cancel", job.id, job.state, "a run that has not ended");
    }
    const run = this.#book.of(entry);
    if (!run.compensating) {
      run.compensating = true;
      const now = this.#state.clock.now();
      if (isWaiting(job.state)) this.#state.wait(entry, now, now);
      else {
        job.cancelRequested = true;
        job.updatedAt = now;
      }
    }
    return this.#record(entry);
  }

  // deno-lint-ignore require-await
  async rewind(jobId: string, from: number): Promise<RunRecord> {
    const entry = this.#find(jobId);
    const { job } = entry;
    if (job.state === "running") {
      throw refuse("replay", jobId, "executing", "a run that is not executing");
    }
    const holder = this.#state.holder(job.name, job.uniqueKey);
    if (holder !== undefined && holder !== entry) {
      throw uniqueConflict(
        "replay",
        "run",
        withPrefix("run", jobId),
        holder.job.id,
        job.uniqueKey,
      );
    }
    const now = this.#state.clock.now();
    const runs = this.#book;
    const run = runs.of(entry);
    runs.forget(run, ({ position }) => position < 0 || position >= from, now);
    runs.forward(run);
    runs.restart(run, now);
    revive(this.#state, entry, now);
    return this.#record(entry);
  }

  // deno-lint-ignore require-await
  async unserved(jobNames: readonly string[], dueForMs: number): Promise<UnservedRuns[]> {
    const before = this.#state.clock.now() - dueForMs;
    const found = new Map<string, number>();
    for (const { job } of this.#state.jobs.values()) {
      if (!isRunName(job.name) || !isWaiting(job.state) || job.runAt >= before) continue;
      if (!jobNames.includes(job.name)) found.set(job.name, (found.get(job.name) ?? 0) + 1);
    }
    return [...found].map(([jobName, runs]) => ({ jobName, runs }))
      .sort((a, b) => a.jobName < b.jobName ? -1 : 1);
  }

  #save(write: StepWrite, now: EpochMs): StepStatus {
    const entry = this.#state.held(write.lease);
    if (entry === null) return "lost";
    const runs = this.#book;
    const run = runs.of(entry);
    const before = run.steps.get(write.position);
    if (before !== undefined && before.state !== "open") {
      runs.accept(run, write.accepted);
      return "kept";
    }
    const { child } = write;
    if (child !== undefined && before !== undefined) return "kept";
    if (child !== undefined && entry.job.cancelRequested) return "lost";
    runs.accept(run, write.accepted);
    runs.put(run, {
      position: write.position,
      name: write.name,
      kind: write.kind,
      state: write.state,
      attempt: write.attempt,
      result: write.result,
      failure: write.failure === null ? null : Object.freeze({ ...write.failure }),
      events: [],
      key: null,
      eventId: null,
      childId: child?.id ?? null,
      until: write.delayMs === null ? null : now + write.delayMs,
      leftMs: null,
      seq: write.seq,
      startedAt: before?.startedAt ?? now - write.elapsedMs,
      endedAt: write.state === "open" ? null : now,
    });
    if (child === undefined) return "saved";
    const added = this.#state.add(newRecord(child, now), now);
    runs.adopt(entry, added, write.state === "open" ? write.position : null);
    this.#state.wake(child.queue);
    return "saved";
  }

  #wait(wait: StepWait, now: EpochMs): Checkpoint | null {
    const entry = this.#state.held(wait.lease);
    if (entry === null) return null;
    const runs = this.#book;
    const run = runs.of(entry);
    runs.accept(run, wait.accepted);
    let step = run.steps.get(wait.position);
    if (step === undefined) {
      step = waitOf(wait, now);
      runs.put(run, step);
    }
    if (step.state === "open") {
      const event = this.events.kept(run, step);
      if (event !== null) {
        const result = eventResult(event);
        runs.end(run, step, { state: "completed", result, eventId: event.id }, now);
      } else if (step.until !== null && step.until <= now) {
        runs.end(run, step, { state: "completed", result: "null" }, now);
      }
    }
    return copyStep(step, now);
  }

  #record(entry: Entry): RunRecord {
    const run = this.#book.find(entry.job.id);
    const now = this.#state.clock.now();
    return {
      job: copyJob(entry),
      compensating: run?.compensating ?? false,
      cause: run?.cause ?? null,
      parentId: run?.parentId ?? null,
      since: run?.since ?? entry.job.createdAt,
      open: openOf(run).map((step) => copyStep(step, now)),
    };
  }

  #find(jobId: string): Entry {
    const entry = this.#state.jobs.get(jobId);
    if (entry === undefined || !isRunName(entry.job.name)) {
      throw notFound("run", withPrefix("run", jobId));
    }
    return entry;
  }
}

function openOf(run: RunEntry | undefined): Step[] {
  const open: Step[] = [];
  for (const step of run?.pending.values() ?? []) {
    if (step.state === "open") open.push(step);
    if (open.length === MAX_OPEN_SHOWN) break;
  }
  return open;
}

/** A copy for the outside; what it refers to is frozen. */
function copyStep(step: Step, now: EpochMs): Checkpoint {
  const leftMs = step.until === null || step.state !== "open"
    ? null
    : Math.max(0, step.until - now);
  return { ...step, leftMs };
}

function refuse(verb: string, jobId: string, state: string, allowed: string) {
  return wrongState(verb, "run", withPrefix("run", jobId), state, allowed);
}
