import { messageOf } from "../core/errors.ts";
import { withPrefix } from "../core/id.ts";
import type { Job, JobRecord } from "../core/job.ts";
import type { Logger } from "../core/logger.ts";
import { parseRunName } from "../core/run.ts";

/** What happened to a job, besides the job itself. */
export interface JobDetails {
  /** A job was stored. */
  onJobEnqueued: Record<never, never>;
  /** Its handler is about to run. */
  onJobStarted: Record<never, never>;
  /** It completed, and that is stored. */
  onJobCompleted: {
    /** Milliseconds from start to end. */ readonly durationMs: number;
  };
  /** It failed for good, and that is stored. */
  onJobFailed: {
    /** Message of the error. */ readonly error: string;
    /** Milliseconds from start to end. */ readonly durationMs: number;
  };
  /** An attempt failed and another will follow. */
  onJobRetrying: {
    /** Message of the error. */ readonly error: string;
    /** When the next attempt may start. */ readonly nextRunAt: Date;
  };
  /** A dead letter was written. */
  onJobDlq: {
    /** Message of the error. */ readonly error: string;
    /** `dlq_…`. */ readonly letterId: string;
  };
}

/** A workflow run, as far as lifecycle extensions are told. */
export interface RunInfo {
  /** `run_…`. */
  readonly id: string;
  /** Name of the workflow. */
  readonly name: string;
}

/**
 * Hooks into what an engine does, in this process. Each is optional; they are called in the order of
 * registration and not waited for (but `onShutdown` is). One that throws is logged and harms nobody.
 *
 * @example
 * ```ts
 * import type { LifecycleExtension } from "@dispatch/dispatch";
 *
 * const audit: LifecycleExtension = {
 *   name: "audit",
 *   onJobCompleted: (job, { durationMs }) => console.log(job.name, job.id, durationMs),
 *   onJobDlq: (job, { error }) => console.error(job.name, job.id, error),
 * };
 * ```
 */
export interface LifecycleExtension {
  /** How the log calls it. */
  readonly name: string;
  /** A job was stored. */
  onJobEnqueued?(job: Job, detail: JobDetails["onJobEnqueued"]): unknown;
  /** A handler is about to run. */
  onJobStarted?(job: Job, detail: JobDetails["onJobStarted"]): unknown;
  /** A job completed. */
  onJobCompleted?(job: Job, detail: JobDetails["onJobCompleted"]): unknown;
  /** A job failed for good. */
  onJobFailed?(job: Job, detail: JobDetails["onJobFailed"]): unknown;
  /** An attempt failed and another will follow. */
  onJobRetrying?(job: Job, detail: JobDetails["onJobRetrying"]): unknown;
  /** A dead letter was written. */
  onJobDlq?(job: Job, detail: JobDetails["onJobDlq"]): unknown;
  /** A workflow run was started. Of its job the hooks above tell nothing, but for its dead letter. */
  onWorkflowStarted?(run: RunInfo): unknown;
  /** A step of a run completed. */
  onWorkflowStepCompleted?(run: RunInfo, step: { name: string; durationMs: number }): unknown;
  /** A step of a run failed. */
  onWorkflowStepFailed?(run: RunInfo, step: { name: string; error: string }): unknown;
  /** A run completed. */
  onWorkflowCompleted?(run: RunInfo, detail: { durationMs: number }): unknown;
  /** A run failed for good. */
  onWorkflowFailed?(run: RunInfo, detail: { error: string }): unknown;
  /** A cron entry enqueued its job. */
  onCronFired?(entry: { id: string; name: string }, job: Job): unknown;
  /** The engine is about to stop; it waits for this. */
  onShutdown?(): unknown;
}

/** Which job events there are. */
export type JobHook = keyof JobDetails;

/** Which events of runs there are. */
type RunHook = Extract<keyof LifecycleExtension, `onWorkflow${string}`>;

type Hook = Exclude<keyof LifecycleExtension, "name">;

type HookArguments<Name extends Hook> = Parameters<NonNullable<LifecycleExtension[Name]>>;

/** One event of {@link Engine.subscribe}. */
export type LifecycleEvent = {
  [Hook in JobHook]: {
    /** The hook that tells of the same event. */ readonly type: Hook;
    /** When it happened. */ readonly at: Date;
    /** The job, as it is after the event. */ readonly job: Job;
    /** What else is known. */ readonly detail: JobDetails[Hook];
  };
}[JobHook];

/** Calls the hooks of lifecycle extensions and feeds subscribers. */
export class Lifecycle {
  readonly #logger: Logger;
  readonly #extensions: LifecycleExtension[] = [];
  readonly #listeners = new Set<(event: LifecycleEvent) => void>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  add(...extensions: readonly LifecycleExtension[]): void {
    this.#extensions.push(...extensions);
  }

  /** Adds a listener of all events; returns how to remove it. */
  listen(listener: (event: LifecycleEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** False where nobody wants to know: the job then need not be described. */
  wants(hook: JobHook): boolean {
    if (this.#listeners.size > 0) return true;
    if (this.#extensions.length === 0) return false;
    for (const extension of this.#extensions) if (extension[hook] !== undefined) return true;
    return false;
  }

  /** Tells of a job: hooks and listeners. */
  emit<Hook extends JobHook>(hook: Hook, job: Job, detail: JobDetails[Hook]): void {
    this.#tell(hook, job, detail);
    const event = { type: hook, at: new Date(), job, detail } as LifecycleEvent;
    for (const listener of this.#listeners) listener(event);
  }

  /** Tells hooks of a run. */
  tell<Hook extends RunHook>(hook: Hook, ...what: HookArguments<Hook>): void {
    this.#tell(hook, ...what);
  }

  /** Tells everyone that the engine stops, and waits for them. */
  async shutdown(): Promise<void> {
    for (const extension of this.#extensions) await this.#call(extension, "onShutdown", []);
  }

  #tell(hook: Hook, ...what: unknown[]): void {
    for (const extension of this.#extensions) {
      if (extension[hook] !== undefined) void this.#call(extension, hook, what);
    }
  }

  async #call(extension: LifecycleExtension, hook: Hook, what: unknown[]): Promise<void> {
    try {
      await (extension[hook] as ((...what: unknown[]) => unknown) | undefined)?.apply(
        extension,
        what,
      );
    } catch (thrown) {
      this.#logger.error("a lifecycle extension threw", {
        extension: extension.name,
        hook,
        error: messageOf(thrown),
      });
    }
  }
}

/** What hooks are told of a run, by its job. */
export function runInfo({ id, name }: Pick<JobRecord, "id" | "name">): RunInfo {
  return { id: withPrefix("run", id), name: parseRunName(name).name };
}
