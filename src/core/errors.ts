/** Every error that Dispatch raises: one class, one table of codes. */

/**
 * The codes of every {@link DispatchError}, each with the hint that is shown where the place that
 * raises it has nothing more precise to say. A code is stable: it may be matched on and is what
 * HTTP clients see.
 */
export const ERROR_HINTS = {
  // What the caller passed
  unknown_job: "Register the definition in this process, or turn strictNames off.",
  invalid_payload: "Fix the input so that it satisfies the definition's schema.",
  payload_not_json: "Pass plain JSON: objects, arrays, strings, finite numbers, booleans, null.",
  payload_too_large: "Store the bulk elsewhere and pass a reference to it.",
  invalid_duration: 'Pass milliseconds or text such as "250ms", "30s", "5m", "1h30m", "7d".',
  invalid_moment: "Pass a valid Date or an ISO 8601 string with a zone.",
  invalid_concurrency: "Pass a whole number; 0 only enqueues, 10 is the default.",
  invalid_queue: "Name a queue with 1 to 200 printable characters.",
  invalid_job_name: "Name a job with 1 to 200 printable characters.",
  invalid_option: "See the option's documentation for what it takes.",
  invalid_id: "Identifiers look like job_01jd0gxm6te4fs5b9v3q8n2kzr.",
  invalid_request: "See the route's documentation for what it takes.",
  duplicate_job: "Give each definition a name of its own, or register it once.",
  // Workflows
  unknown_workflow: "Register the workflow in this process, or start it by its definition.",
  duplicate_workflow: "Give each version of a workflow a number of its own.",
  invalid_workflow_name: "Name a workflow with 1 to 150 printable characters.",
  invalid_step: "Name a step with 1 to 150 printable characters, and pass what it takes.",
  nested_step: "Call steps from the workflow's handler, one after another or side by side.",
  step_after_end: "Await every step before the handler returns.",
  step_failed: "The step failed for good; see its failure in the run's timeline.",
  nondeterministic:
    "Keep the order of steps for runs in flight: make a new version of the workflow.",
  compensation_failed: "Undo by hand what is listed, or retry the run's job to go on.",
  run_failed: "Look at the run's timeline for the step that failed.",
  workflows_not_supported: "Use a store that keeps workflows, such as memoryStore().",
  // When the call came
  not_started: "Await ext.start() first.",
  stopped: "Create a new extension; a stopped one does not start again.",
  not_found: "It may have been removed or pruned; list what exists.",
  wrong_state: "Read the current state first; another process may have changed it.",
  unique_conflict: "Wait for the job that holds the unique key to finish, or cancel it.",
  // Configuration
  config_syntax: "Fix the YAML at the line and column named above.",
  config_unknown_key: "Remove the key or correct its spelling.",
  config_wrong_type: "Change the value to the type that is expected.",
  config_invalid_value: "Change the value to one that is allowed.",
  config_not_found: "Create one of the files named above, or set requireConfig to false.",
  config_unreadable: "Check that the path exists and that it may be read.",
  unknown_database: "Add it to the registry, or choose one that is there.",
  unknown_kv: "Add it to the registry, or choose one that is there.",
  unsupported_client: "Pass a client or a transaction of a supported kind.",
  store_not_available: "Leave it unset to use the in-memory store, or pass `store`.",
  store_unreachable: "Check that the store is up and that its address is right.",
  schema_outdated: "Bring the schema up to date, or leave disableMigrate off.",
  schema_newer: "Deploy the release that this database was migrated by, or a later one.",
  // Why an attempt or a job ended
  handler_failed: "The handler threw; see the message and the stack.",
  timeout: "Raise the job's timeout, or make the handler stop on job.signal.",
  lease_lost: "Another worker owns the job now; stop working on it.",
  crash_loop: "The job took its worker down again and again; fix the handler, then replay it.",
  invalid_result: "Return plain JSON from the handler, or nothing.",
  discarded: "The handler gave the job up with discard().",
  cancelled: "The job was cancelled.",
  shutdown: "The worker is stopping; the job will be run again elsewhere.",
  job_failed: "Look the job up in the dead letters for its last error.",
  result_timeout: "Wait longer, or read the job's state instead.",
  // HTTP
  unauthorized: "Send the credentials that the `auth` option asks for.",
  forbidden: "Send the request from the same origin, or as application/json.",
  body_too_large: "Send a smaller body.",
  internal: "This is a defect or an outage of the store; see the log.",
} as const satisfies Record<string, string>;

/** A stable, machine-readable error code. */
export type ErrorCode = keyof typeof ERROR_HINTS;

/** What {@link DispatchError} takes besides its code and message. */
export interface DispatchErrorOptions {
  /** What to do about it, where the code's own hint is not precise enough. */
  hint?: string;
  /** The error behind this one. */
  cause?: unknown;
}

/**
 * The one error class of Dispatch.
 *
 * The message says what was wrong and what was found; `hint` says what to do.
 *
 * @example
 * ```ts
 * import { DispatchError } from "@dispatch/dispatch";
 *
 * const error = new DispatchError("invalid_duration", 'Cannot read "soon" as a duration');
 * console.log(error.code, "-", error.hint);
 * ```
 */
export class DispatchError extends Error {
  /** Stable code, for matching. */
  readonly code: ErrorCode;
  /** What to do about it. */
  readonly hint: string;
  /** Always `"DispatchError"`. */
  override readonly name = "DispatchError";

  /** Makes an error with a code, a message, and where useful a hint and a cause. */
  constructor(code: ErrorCode, message: string, options: DispatchErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint ?? ERROR_HINTS[code];
  }
}

/** The message of anything that can be thrown. It never throws itself, whatever it is given. */
export function messageOf(thrown: unknown): string {
  try {
    return String(thrown instanceof Error ? thrown.message || thrown.name : thrown);
  } catch { // an object without a prototype has no toString
    return plainText(thrown);
  }
}

/** What a message shows of a value that someone passed: at most 80 characters, and it never throws. */
export function show(value: unknown): string {
  let text: string;
  try {
    const quoted = typeof value === "string" || typeof value === "object";
    text = quoted ? JSON.stringify(value) ?? String(value) : String(value);
  } catch {
    text = plainText(value);
  }
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function plainText(value: unknown): string {
  try {
    return Object.prototype.toString.call(value);
  } catch { // a revoked proxy cannot even be asked what it is
    return "something that cannot be described";
  }
}

/** `not_found` for an identifier that no record has. */
export function notFound(what: string, id: string): DispatchError {
  return new DispatchError("not_found", `Cannot find ${what} ${id}`);
}

/** `invalid_option` for what makes no sense; the hint says what would. */
export function invalidOption(problem: string, hint: string): DispatchError {
  return new DispatchError("invalid_option", problem, { hint });
}

/** `wrong_state` for a transition that the current state does not allow. */
export function wrongState(
  verb: string,
  what: string,
  id: string,
  state: string,
  allowed: string,
): DispatchError {
  return new DispatchError("wrong_state", `Cannot ${verb} ${what} ${id}: it is ${state}`, {
    hint: `Only ${allowed} can be ${PAST[verb] ?? verb}.`,
  });
}

/** `unique_conflict` for a job that cannot come back while another holds its unique key. */
export function uniqueConflict(
  verb: string,
  what: string,
  id: string,
  holderId: string,
  key: string | null,
): DispatchError {
  return new DispatchError(
    "unique_conflict",
    `Cannot ${verb} ${what} ${id}: ${holderId} holds its unique key ${JSON.stringify(key)}`,
  );
}

const PAST: Record<string, string> = {
  "send an event to": "sent an event",
  cancel: "cancelled",
  retry: "retried",
  remove: "removed",
  replay: "replayed",
};
