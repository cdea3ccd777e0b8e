import { DispatchError, messageOf } from "../core/errors.ts";
import type { EventRecord, NewEvent } from "../core/event.ts";
import { withPrefix } from "../core/id.ts";
import type { JobRecord, NewJob, Scope } from "../core/job.ts";
import type { Lease } from "../core/lease.ts";
import type { Logger } from "../core/logger.ts";
import { type Checkpoint, parseRunName, type RunRecord } from "../core/run.ts";
import type {
  CheckpointQuery,
  EventStore,
  RunRest,
  RunStore,
  StepStatus,
  StepWait,
  StepWrite,
  Store,
} from "../store/store.ts";
import type { AnyWorkflowDefinition } from "../workflow/definition.ts";
import { type Ambient, PAGE_SIZE, type SliceHost } from "../workflow/host.ts";
import type { AttemptRules } from "./attempt.ts";
import { createBatcher } from "./batcher.ts";
import type { Execution } from "./execution.ts";
import type { Lifecycle } from "./lifecycle.ts";

/** Steps of concurrent runs share a write of at most so many. */
const BATCH = 500;

/** What runs are made of. */
export interface RunSupportOptions {
  readonly store: Store;
  readonly logger: Logger;
  readonly lifecycle: Lifecycle;
  readonly ambient: Ambient;
  /** Makes the job of a run that another one starts. */
  readonly buildRun: (
    workflow: AnyWorkflowDefinition | string,
    input: unknown,
    options: { scope: Scope },
  ) => NewJob | Promise<NewJob>;
}

/** What runs of one engine share: their reads and writes go to the store together. */
export class RunSupport {
  readonly publish: (event: NewEvent) => Promise<EventRecord>;
  readonly get: (jobId: string) => Promise<RunRecord | null>;
  /** Reads what a run goes on with: its first checkpoints are a whole page, unless it has fewer. */
  readonly resume: (jobId: string) => Promise<RunRest>;
  readonly #options: RunSupportOptions;
  /** Slices whose steps wait for others' doing. */
  readonly #lookers = new Set<(queue: string) => void>();
  readonly #save: (write: StepWrite) => Promise<StepStatus>;
  readonly #wait: (wait: StepWait) => Promise<Checkpoint | null>;
  readonly #checkpoints: (query: CheckpointQuery) => Promise<Checkpoint[]>;

  constructor(options: RunSupportOptions) {
    const { runs, events } = requireRuns(options.store);
    this.#options = options;
    // What these write they may write twice: the first write stands.
    this.publish = createBatcher((batch) => events.publish(batch), BATCH);
    this.get = createBatcher((batch) => runs.get(batch), BATCH);
    this.resume = createBatcher((batch) => runs.resume(batch, PAGE_SIZE), BATCH);
    this.#save = createBatcher((batch) => runs.save(batch), BATCH);
    this.#wait = createBatcher((batch) => runs.wait(batch), BATCH);
    this.#checkpoints = createBatcher((batch) => runs.checkpoints(batch), BATCH);
  }

  /** A hint of the store that something is new in a queue, perhaps for a run that executes. */
  hint(queue: string): void {
    for (const look of this.#lookers) look(queue);
  }

  /** What a slice of a run stands on. */
  host(execution: Execution, rules: AttemptRules, clock: SliceHost["clock"]): SliceHost {
    const { logger, lifecycle, ambient, buildRun } = this.#options;
    const { lease, job } = execution;
    const run = runInfo(job);
    return {
      runId: run.id,
      scope: job.scope,
      clock,
      ambient,
      backoff: rules.backoff,
      maxPayloadBytes: rules.maxPayloadBytes,
      signal: execution.signal,
      get abortReason() {
        return execution.abortReason;
      },
      checkpoints: (after, pending) =>
        this.#checkpoints({ jobId: job.id, after, pending, limit: pending ? 10_000 : PAGE_SIZE }),
      save: (write) => this.#saveStep(lease, write),
      wait: (wait) => this.#wait({ ...wait, lease }),
      onHint: (look) => {
        const looker = (queue: string) => queue === job.queue && look();
        this.#lookers.add(looker);
        return () => this.#lookers.delete(looker);
      },
      buildChild: (workflow, input) => buildRun(workflow, input, { scope: job.scope }),
      onStep: (step) => lifecycle.emitStep(run, step),
      onTrouble: (error) =>
        logger.warn("could not remember a step, trying again", {
          run: run.id,
          error: messageOf(error),
        }),
    };
  }

  async #saveStep(lease: Lease, write: Omit<StepWrite, "lease">): Promise<StepStatus> {
    const status = await this.#save({ ...write, lease });
    if (status === "saved" && write.child !== undefined) {
      this.#options.lifecycle.emitRun("onWorkflowStarted", runInfo(write.child));
    }
    return status;
  }
}

/**
 * The parts of a store that workflows need.
 *
 * @throws {DispatchError} `workflows_not_supported`
 */
export function requireRuns({ name, runs, events }: Store): { runs: RunStore; events: EventStore } {
  if (runs !== undefined && events !== undefined) return { runs, events };
  throw new DispatchError(
    "workflows_not_supported",
    `Cannot run workflows: the ${name} store keeps none`,
  );
}

/** What hooks are told of a run. */
export function runInfo(
  { id, name }: Pick<JobRecord, "id" | "name">,
): { id: string; name: string } {
  return { id: withPrefix("run", id), name: parseRunName(name).name };
}
