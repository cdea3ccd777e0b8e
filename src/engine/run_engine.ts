import { DispatchError, messageOf, show } from "../core/errors.ts";
import type { Event, EventRecord, NewEvent } from "../core/event.ts";
import type { JobRecord, NewJob } from "../core/job.ts";
import type { Lease } from "../core/lease.ts";
import type { Logger } from "../core/logger.ts";
import type { Outcome } from "../core/outcome.ts";
import type { Checkpoint, RunRecord } from "../core/run.ts";
import type { Run } from "../core/run_view.ts";
import { suggest } from "../core/suggest.ts";
import type { CheckpointQuery, RunRest, StepStatus, StepWait, StepWrite } from "../store/store.ts";
import { plainAmbient } from "../workflow/ambient.ts";
import type { AnyWorkflowDefinition } from "../workflow/definition.ts";
import { type Ambient, PAGE_SIZE, type SliceHost } from "../workflow/host.ts";
import type { AttemptRules } from "./attempt.ts";
import { createBatcher } from "./batcher.ts";
import type { Definitions } from "./definitions.ts";
import { buildJob, type EnqueueOptions } from "./enqueue.ts";
import type { Execution } from "./execution.ts";
import { type Lifecycle, runInfo } from "./lifecycle.ts";
import type { Machinery } from "./machinery.ts";
import { attemptRun } from "./run_attempt.ts";
import { Runs } from "./runs.ts";
import { type EventOptions, publish, type StartOptions, startRun } from "./start.ts";
import { requireRuns } from "./workflows.ts";

/** Steps of concurrent runs share a write of at most so many. */
const BATCH = 500;

/** What runs of one engine are made of. */
export interface RunEngineOptions {
  readonly machinery: Machinery;
  readonly lifecycle: Lifecycle;
  readonly logger: Logger;
  readonly definitions: Definitions;
  /** Default: what needs no help of the runtime. */
  readonly ambient?: Ambient;
}

/**
 * What an engine does for runs of workflows: all that stands behind the gate, `workflows.ts`. What
 * runs read and write goes to the store together.
 */
export class RunEngine {
  readonly machinery: Machinery;
  readonly lifecycle: Lifecycle;
  /** `engine.runs`. */
  readonly runs: Runs;
  /** Stores the job of a run whose id its caller has chosen: others may have sent it before. */
  readonly startOnce: (job: NewJob) => Promise<JobRecord>;
  /** Reads a run by the id of its job. */
  readonly get: (jobId: string) => Promise<RunRecord | null>;
  /** Reads what a run goes on with: its first checkpoints are a whole page, unless it has fewer. */
  readonly resume: (jobId: string) => Promise<RunRest>;
  /** Has the store keep an event. */
  readonly keep: (event: NewEvent) => Promise<EventRecord>;
  readonly #logger: Logger;
  readonly #definitions: Definitions;
  readonly #ambient: Ambient;
  readonly #save: (write: StepWrite) => Promise<StepStatus>;
  readonly #wait: (wait: StepWait) => Promise<Checkpoint | null>;
  readonly #checkpoints: (query: CheckpointQuery) => Promise<Checkpoint[]>;

  constructor(options: RunEngineOptions) {
    this.machinery = options.machinery;
    this.lifecycle = options.lifecycle;
    this.#logger = options.logger;
    this.#definitions = options.definitions;
    this.#ambient = options.ambient ?? plainAmbient();
    const { store } = options.machinery;
    const { runs, events } = requireRuns(store);
    this.runs = new Runs(
      store,
      () => this.#definitions.workflowNames,
      (job) => this.machinery.cancelled(job),
    );
    // What these write they may write twice: the first write stands.
    this.keep = createBatcher((batch) => events.publish(batch), BATCH);
    this.startOnce = createBatcher(
      (batch) => store.jobs.enqueue(batch),
      BATCH,
      (batch) => store.jobs.get(batch.map(({ id }) => id)),
    );
    this.get = createBatcher((batch) => runs.get(batch), BATCH);
    this.resume = createBatcher((batch) => runs.resume(batch, PAGE_SIZE), BATCH);
    this.#save = createBatcher((batch) => runs.save(batch), BATCH);
    this.#wait = createBatcher((batch) => runs.wait(batch), BATCH);
    this.#checkpoints = createBatcher((batch) => runs.checkpoints(batch), BATCH);
  }

  /** Starts a run of a workflow. */
  start(
    workflow: AnyWorkflowDefinition | string,
    input: unknown,
    options: StartOptions,
  ): Promise<Run> {
    return startRun(this, workflow, input, options);
  }

  /** Sends an event to one run, or to all that wait for it. */
  publish(
    name: string,
    payload: unknown,
    options: EventOptions & { key?: string },
    runId: string | null,
  ): Promise<Event> {
    return publish(this, name, payload, options, runId);
  }

  /** Runs one slice of a claimed run. */
  attempt(
    execution: Execution,
    workflow: AnyWorkflowDefinition,
    rules: AttemptRules,
  ): Promise<Outcome> {
    return attemptRun(this, execution, workflow, rules);
  }

  /** What a slice of a run stands on. */
  host(execution: Execution, rules: AttemptRules): SliceHost {
    const { lease, job } = execution;
    const run = runInfo(job);
    return {
      runId: run.id,
      scope: job.scope,
      clock: rules.clock,
      ambient: this.#ambient,
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
        const { lookers } = this.machinery;
        const looker = (queue: string) => queue === job.queue && look();
        lookers.add(looker);
        return () => lookers.delete(looker);
      },
      buildChild: (workflow, input) => this.build(workflow, input, { scope: job.scope }),
      onStep: ({ name, durationMs, error }) =>
        error === null
          ? this.lifecycle.tell("onWorkflowStepCompleted", run, { name, durationMs })
          : this.lifecycle.tell("onWorkflowStepFailed", run, { name, error }),
      onTrouble: (error) =>
        this.#logger.warn("could not remember a step, trying again", {
          run: run.id,
          error: messageOf(error),
        }),
    };
  }

  /**
   * Makes the job of a run.
   *
   * @throws {DispatchError} `unknown_workflow`, and as `engine.enqueue`
   */
  build(
    workflow: AnyWorkflowDefinition | string,
    input: unknown,
    options: EnqueueOptions,
  ): NewJob | Promise<NewJob> {
    const job = this.#definitions.runJob(workflow);
    if (job === null) {
      const problem = `Cannot start ${show(workflow)}: no such workflow`;
      const hint = suggest(workflow, this.#definitions.workflowNames);
      throw new DispatchError("unknown_workflow", problem, { hint });
    }
    return buildJob(job.name, job, input, options, this.machinery.store.maxPayloadBytes);
  }

  async #saveStep(lease: Lease, write: Omit<StepWrite, "lease">): Promise<StepStatus> {
    const status = await this.#save({ ...write, lease });
    if (status === "saved" && write.child !== undefined) {
      this.lifecycle.tell("onWorkflowStarted", runInfo(write.child));
    }
    return status;
  }
}
