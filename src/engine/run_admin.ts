import { DispatchError, notFound, show } from "../core/errors.ts";
import type { JobRecord } from "../core/job.ts";
import { decodeJson, type Json } from "../core/json.ts";
import { listNames, nearest } from "../core/name.ts";
import { type Checkpoint, jobIdOf, RUN_STATES } from "../core/run.ts";
import { type Run, type RunStep, toRun, toRunStep } from "../core/run_view.ts";
import { checkWorkflowName } from "../core/workflow_name.ts";
import type { RunStore, Store } from "../store/store.ts";
import { PAGE_SIZE } from "../workflow/host.ts";
import { type List, readPage, toList } from "./list.ts";
import type { RunFilter, RunMessage, Runs } from "./runs.ts";

/** What does the work of `engine.runs`, on one store. */
export class RunAdmin implements Omit<Runs, "names"> {
  readonly #store: Store;
  readonly #runs: RunStore;
  readonly #onCancelled: (job: JobRecord) => void;

  constructor(store: Store, runs: RunStore, onCancelled: (job: JobRecord) => void) {
    this.#store = store;
    this.#runs = runs;
    this.#onCancelled = onCancelled;
  }

  async get(id: string): Promise<Run | null> {
    const [record] = await this.#runs.get([jobIdOf(id)]);
    return record === null ? null : toRun(record);
  }

  async list(filter: RunFilter = {}): Promise<List<Run>> {
    const { state, name, parentRunId } = filter;
    if (state !== undefined && !RUN_STATES.includes(state)) {
      throw new DispatchError("invalid_option", `Cannot list runs of state ${show(state)}`, {
        hint: `Known states are ${listNames(RUN_STATES)}.`,
      });
    }
    if (name !== undefined) checkWorkflowName(name);
    const parentId = parentRunId === undefined ? undefined : jobIdOf(parentRunId);
    const page = await this.#runs.list({ state, name, parentId, ...readPage(filter) });
    return toList(page, toRun);
  }

  async timeline(id: string): Promise<RunStep[]> {
    const steps = await this.#checkpoints(id);
    return steps
      .sort((a, b) => a.startedAt - b.startedAt || Math.abs(a.position) - Math.abs(b.position))
      .map(toRunStep);
  }

  async inspectStep(id: string, step: string): Promise<RunStep> {
    return toRunStep(await this.#step(id, step));
  }

  async replayFrom(id: string, step: string): Promise<Run> {
    const { position } = await this.#step(id, step);
    return toRun(await this.#runs.rewind(jobIdOf(id), position));
  }

  async cancel(id: string, options: { compensate?: boolean } = {}): Promise<Run> {
    const jobId = jobIdOf(id);
    const runs = this.#runs;
    if (options.compensate) {
      const record = await runs.compensate(jobId);
      if (record.job.cancelRequested) this.#onCancelled(record.job);
      return toRun(record);
    }
    const [before] = await runs.get([jobId]);
    if (before === null) throw notFound("run", id);
    this.#onCancelled(await this.#store.jobs.cancel(jobId));
    const [record] = await runs.get([jobId]);
    return toRun(record ?? before);
  }

  async values(id: string): Promise<Record<string, Json>> {
    const values: Record<string, Json> = {};
    for (const { kind, name, result } of await this.#checkpoints(id)) {
      if (kind === "set") values[name] = decodeJson(result!) as Json;
    }
    return values;
  }

  async messages(id: string, options: { after?: number } = {}): Promise<RunMessage[]> {
    return (await this.#checkpoints(id, options.after))
      .filter(({ kind, state }) => kind === "emit" && state === "completed")
      .map(({ position, result, endedAt }) => ({
        position,
        message: decodeJson(result!) as Json,
        at: new Date(endedAt!),
      }));
  }

  async #step(id: string, name: string): Promise<Checkpoint> {
    const checkpoints = await this.#checkpoints(id);
    const found = checkpoints.find((step) => step.position >= 0 && step.name === name);
    if (found !== undefined) return found;
    const names = checkpoints.filter(({ position }) => position >= 0).map((step) => step.name);
    const similar = nearest(name, names);
    throw new DispatchError("not_found", `Cannot find step ${show(name)} of ${id}`, {
      hint: similar === null ? "Its timeline lists them." : `Did you mean ${show(similar)}?`,
    });
  }

  /** In the order of their calls. */
  async #checkpoints(id: string, after?: number): Promise<Checkpoint[]> {
    const jobId = jobIdOf(id);
    const runs = this.#runs;
    const all: Checkpoint[] = [];
    for (;;) {
      const behind = all.at(-1)?.position ?? after ?? null;
      const [page] = await runs.checkpoints([
        { jobId, after: behind, limit: PAGE_SIZE, pending: false },
      ]);
      all.push(...page);
      if (page.length < PAGE_SIZE) break;
    }
    if (all.length === 0) {
      const [record] = await runs.get([jobId]);
      if (record === null) throw notFound("run", id);
    }
    return all;
  }
}
