import { DispatchError, invalidOption, notFound, show } from "../core/errors.ts";
import type { JobRecord } from "../core/job.ts";
import { decodeJson, type Json } from "../core/json.ts";
import { listNames, suggest } from "../core/name.ts";
import { type Checkpoint, jobIdOf, type RunState } from "../core/run.ts";
import { type Run, RUN_STATES, type RunStep, toRun, toRunStep } from "../core/run_view.ts";
import { checkWorkflowName } from "../core/workflow_name.ts";
import type { RunStore, Store } from "../store/store.ts";
import { PAGE_SIZE } from "../workflow/host.ts";
import { type List, type ListOptions, readPage, toList } from "./list.ts";
import { requireRuns } from "./workflows.ts";

/** Which runs to list. */
export interface RunFilter extends ListOptions {
  /** Only runs in this state. */
  state?: RunState;
  /** Only runs of this workflow, whatever its version. */
  name?: string;
  /** Only children of this run. */
  parentRunId?: string;
}

/** A message of a run. */
export interface RunMessage {
  /** Grows from message to message; pass it as `after`. */
  readonly position: number;
  /** What was emitted. */
  readonly message: Json;
  /** When. */
  readonly at: Date;
}

/** Looks at runs of workflows and changes their course: `engine.runs`. */
export class Runs {
  readonly #store: Store;
  readonly #runs: RunStore;
  readonly #names: () => string[];
  readonly #onCancelled: (job: JobRecord) => void;

  /** Made by the engine. */
  constructor(store: Store, names: () => string[], onCancelled: (job: JobRecord) => void) {
    this.#store = store;
    this.#runs = requireRuns(store).runs;
    this.#names = names;
    this.#onCancelled = onCancelled;
  }

  /** Names of the workflows that are registered in this process. */
  names(): string[] {
    return this.#names();
  }

  /**
   * Reads one run; `null` where there is none of this id.
   *
   * @throws {DispatchError} `invalid_id`, `workflows_not_supported`
   */
  async get(id: string): Promise<Run | null> {
    const [record] = await this.#runs.get([jobIdOf(id)]);
    return record === null ? null : toRun(record);
  }

  /**
   * Lists runs, the newest first: an array with `nextCursor` beside it.
   *
   * @throws {DispatchError} `invalid_option`, `invalid_id`, `workflows_not_supported`
   */
  async list(filter: RunFilter = {}): Promise<List<Run>> {
    const { state, name, parentRunId } = filter;
    if (state !== undefined && !RUN_STATES.includes(state)) {
      throw invalidOption(
        `Cannot list runs of state ${show(state)}`,
        `Known states are ${listNames(RUN_STATES)}.`,
      );
    }
    if (name !== undefined) checkWorkflowName(name);
    const parentId = parentRunId === undefined ? undefined : jobIdOf(parentRunId);
    const page = await this.#runs.list({ state, name, parentId, ...readPage(filter) });
    return toList(page, toRun);
  }

  /**
   * Every step of a run, in the order in which they began: what it returned or failed of, and what it
   * waits for.
   *
   * @throws {DispatchError} `invalid_id`, `not_found`, `workflows_not_supported`
   */
  async timeline(id: string): Promise<RunStep[]> {
    const steps = await this.#checkpoints(id);
    return steps
      .sort((a, b) => a.startedAt - b.startedAt || Math.abs(a.position) - Math.abs(b.position))
      .map(toRunStep);
  }

  /**
   * Reads one step of a run.
   *
   * @throws {DispatchError} `invalid_id`, `not_found` for an unknown run or step,
   * `workflows_not_supported`
   */
  async inspectStep(id: string, step: string): Promise<RunStep> {
    return toRunStep(await this.#step(id, step));
  }

  /**
   * Has a run go on from a step: what was called before it is kept, it and all later ones are done
   * again. Only while the run is not executing; a dead letter of it counts as replayed.
   *
   * @throws {DispatchError} `invalid_id`, `not_found`, `wrong_state`, `unique_conflict`,
   * `workflows_not_supported`
   */
  async replayFrom(id: string, step: string): Promise<Run> {
    const { position } = await this.#step(id, step);
    return toRun(await this.#runs.rewind(jobIdOf(id), position));
  }

  /**
   * Cancels a run and its children. One that waits is cancelled at once; one that executes is told, as
   * by `engine.jobs.cancel`. With `compensate` it undoes its steps first.
   *
   * @throws {DispatchError} `invalid_id`, `not_found`, `wrong_state`, `workflows_not_supported`
   */
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

  /**
   * The values that a run has set with `step.set`, the latest of each key.
   *
   * @throws {DispatchError} `invalid_id`, `not_found`, `workflows_not_supported`
   */
  async values(id: string): Promise<Record<string, Json>> {
    const values: Record<string, Json> = {};
    for (const { kind, name, result } of await this.#checkpoints(id)) {
      if (kind === "set") values[name] = decodeJson(result!) as Json;
    }
    return values;
  }

  /**
   * The messages that a run has emitted with `step.emit`, from behind a position on.
   *
   * @throws {DispatchError} `invalid_id`, `not_found`, `workflows_not_supported`
   */
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
    throw new DispatchError("not_found", `Cannot find step ${show(name)} of ${id}`, {
      hint: suggest(name, names, "Its timeline lists them."),
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
