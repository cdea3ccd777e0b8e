import { messageOf } from "../core/errors.ts";
import type { Job } from "../core/job.ts";
import type { Logger } from "../core/logger.ts";

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

/** Which events of runs hooks are told of, apart from those of steps. */
export type RunHook = "onWorkflowStarted" | "onWorkflowCompleted" | "onWorkflowFailed";

/** Which job events there are. */
export type JobHook = keyof JobDetails;

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

  emit<Hook extends JobHook>(hook: Hook, job: Job, detail: JobDetails[Hook]): void {
    for (const extension of this.#extensions) {
      const call = extension[hook] as ((job: Job, detail: JobDetails[Hook]) => unknown) | undefined;
      if (call !== undefined) {
        void this.#call(extension, hook, () => call.call(extension, job, detail));
      }
    }
    const event = { type: hook, at: new Date(), job, detail } as LifecycleEvent;
    for (const listener of this.#listeners) listener(event);
  }

  /** Tells hooks of a run. */
  emitRun(hook: RunHook, run: RunInfo, detail: { durationMs?: number; error?: string } = {}): void {
    for (const extension of this.#extensions) {
      const call = extension[hook] as ((run: RunInfo, detail: object) => unknown) | undefined;
      if (call !== undefined) {
        void this.#call(extension, hook, () => call.call(extension, run, detail));
      }
    }
  }

  /** Tells hooks that a step of a run has ended. */
  emitStep(
    run: RunInfo,
    { name, durationMs, error }: { name: string; durationMs: number; error: string | null },
  ): void {
    for (const extension of this.#extensions) {
      if (error === null && extension.onWorkflowStepCompleted !== undefined) {
        const tell = () => extension.onWorkflowStepCompleted!(run, { name, durationMs });
        void this.#call(extension, "onWorkflowStepCompleted", tell);
      }
      if (error !== null && extension.onWorkflowStepFailed !== undefined) {
        const tell = () => extension.onWorkflowStepFailed!(run, { name, error });
        void this.#call(extension, "onWorkflowStepFailed", tell);
      }
    }
  }

  /** Tells everyone that the engine stops, and waits for them. */
  async shutdown(): Promise<void> {
    for (const extension of this.#extensions) {
      await this.#call(extension, "onShutdown", () => extension.onShutdown?.());
    }
  }

  async #call(extension: LifecycleExtension, hook: string, call: () => unknown): Promise<void> {
    try {
      await call();
    } catch (thrown) {
      this.#logger.error("a lifecycle extension threw", {
        extension: extension.name,
        hook,
        error: messageOf(thrown),
      });
    }
  }
}
