import { DispatchError } from "../core/errors.ts";
import { runJobName } from "../core/run.ts";
import type { AnyWorkflowDefinition } from "../workflow/definition.ts";
import { type AnyJobDefinition, checkNoRun } from "./definition.ts";
import { unknownJob } from "./enqueue.ts";

/** What {@link Engine.register} takes. */
export type AnyDefinition = AnyJobDefinition | AnyWorkflowDefinition;

/** What is registered in this process. A version of a workflow is a kind of job like any other. */
export class Definitions {
  readonly #jobs = new Map<string, AnyJobDefinition>();
  /** The latest version of each workflow. */
  readonly #latest = new Map<string, AnyWorkflowDefinition>();

  /** By the names of their jobs. */
  get jobs(): ReadonlyMap<string, AnyJobDefinition> {
    return this.#jobs;
  }

  /** Names of workflows. */
  get workflowNames(): string[] {
    return [...this.#latest.keys()].sort();
  }

  /**
   * Adds all of them or, when one is refused, none.
   *
   * @throws {DispatchError} `duplicate_job`, `duplicate_workflow`
   */
  add(definitions: readonly AnyDefinition[]): void {
    const added = new Map<string, AnyJobDefinition>();
    for (const definition of definitions) {
      const job = definition.kind === "workflow" ? runJobOf(definition) : definition;
      const known = added.get(job.name) ?? this.#jobs.get(job.name);
      if (known !== undefined && (known.workflow ?? known) !== definition) throw duplicate(job);
      if (known === undefined) added.set(job.name, job);
    }
    for (const [name, job] of added) {
      this.#jobs.set(name, job);
      const { workflow } = job;
      if (workflow === undefined) continue;
      const latest = this.#latest.get(workflow.name);
      if (latest === undefined || latest.version < workflow.version) {
        this.#latest.set(workflow.name, workflow);
      }
    }
  }

  /**
   * The definition behind what is to be enqueued.
   *
   * @throws {DispatchError} `unknown_job` for a name that is not registered, where names are strict
   */
  find(
    job: AnyJobDefinition | string,
    strict: boolean,
  ): { name: string; definition: AnyJobDefinition | undefined } {
    const name = typeof job === "string" ? job : job.name;
    if (strict && !this.#jobs.has(name)) throw unknownJob(name, this.#jobs.keys());
    const definition = typeof job === "string" ? this.#jobs.get(job) : job;
    if (definition?.workflow !== undefined) checkNoRun(name);
    return { name, definition };
  }

  /**
   * The kind of job that runs of a workflow are; of a name it is that of the latest version. `null`
   * for what is no workflow that is known.
   */
  runJob(workflow: AnyWorkflowDefinition | string): AnyJobDefinition | null {
    const definition = typeof workflow === "string" ? this.#latest.get(workflow) : workflow;
    if (definition?.kind !== "workflow") return null;
    const registered = this.#jobs.get(runJobName(definition.name, definition.version));
    return registered?.workflow === definition ? registered : runJobOf(definition);
  }
}

function runJobOf(workflow: AnyWorkflowDefinition): AnyJobDefinition {
  return {
    ...workflow,
    kind: "job",
    name: runJobName(workflow.name, workflow.version),
    handler() {}, // a run's handler is called by its slices
    workflow,
    types: undefined,
  };
}

function duplicate({ name, workflow }: AnyJobDefinition): DispatchError {
  return workflow === undefined
    ? new DispatchError(
      "duplicate_job",
      `Cannot register job ${JSON.stringify(name)}: another definition has this name`,
    )
    : new DispatchError(
      "duplicate_workflow",
      `Cannot register workflow ${JSON.stringify(workflow.name)}: another definition has ` +
        `version ${workflow.version}`,
    );
}
