import type { Context } from "@hono/hono";
import type { HTTPException } from "@hono/hono/http-exception";
import { DispatchError, ERROR_HINTS, type ErrorCode } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";

/** The status with which each code is answered. What no request can cause is 500. */
const STATUS = {
  unknown_job: 422,
  invalid_payload: 422,
  payload_not_json: 422,
  payload_too_large: 413,
  invalid_duration: 400,
  invalid_moment: 400,
  invalid_concurrency: 400,
  invalid_queue: 400,
  invalid_job_name: 400,
  invalid_option: 400,
  invalid_id: 400,
  invalid_request: 400,
  duplicate_job: 500,
  unknown_workflow: 422,
  duplicate_workflow: 500,
  invalid_workflow_name: 400,
  invalid_step: 400,
  nested_step: 500,
  step_after_end: 500,
  step_failed: 500,
  nondeterministic: 500,
  compensation_failed: 500,
  run_failed: 500,
  workflows_not_supported: 409,
  not_started: 503,
  stopped: 503,
  not_found: 404,
  wrong_state: 409,
  unique_conflict: 409,
  config_syntax: 500,
  config_unknown_key: 500,
  config_wrong_type: 500,
  config_invalid_value: 500,
  config_not_found: 500,
  config_unreadable: 500,
  unknown_database: 500,
  unknown_kv: 500,
  unsupported_client: 500,
  store_not_available: 500,
  store_unreachable: 503,
  schema_outdated: 500,
  schema_newer: 500,
  handler_failed: 500,
  timeout: 500,
  lease_lost: 500,
  crash_loop: 500,
  invalid_result: 500,
  discarded: 500,
  cancelled: 500,
  shutdown: 500,
  job_failed: 500,
  result_timeout: 500,
  unauthorized: 401,
  forbidden: 403,
  body_too_large: 413,
  internal: 500,
} as const satisfies Record<ErrorCode, number>;

/** What stands for the errors that middleware of Hono throws, by their status. */
const HTTP_ERRORS: Partial<Record<number, [ErrorCode, string]>> = {
  400: ["invalid_request", "Cannot read the request"],
  401: ["unauthorized", "Cannot let the request in: valid credentials are missing"],
  403: ["forbidden", "Cannot take the request: a page of another origin sent it"],
  404: ["not_found", "Cannot find what was asked for"],
  413: ["body_too_large", "Cannot read the body: it is too large"],
};

/**
 * Answers with an error: `{"error": message, "code": code, "hint": hint}`. What the caller did not
 * cause is logged and shown without its message, which may name hosts, files or people.
 */
export function problem(c: Context, thrown: unknown, logger: Logger): Response {
  if (isHttpException(thrown)) return httpProblem(c, thrown);
  if (thrown instanceof DispatchError) {
    const { code, message, hint } = thrown;
    if (STATUS[code] < 500 || code === "not_started" || code === "stopped") {
      return send(c, code, message, hint);
    }
    if (code === "store_unreachable") {
      logger.error("the store did not answer a request", about(c, thrown));
      return send(c, code, "Cannot reach the store", "Try again later; the log says more.");
    }
  }
  logger.error("a request failed", about(c, thrown));
  return send(c, "internal", "Cannot answer the request: something unexpected happened");
}

function send(
  c: Context,
  code: ErrorCode,
  message: string,
  hint: string = ERROR_HINTS[code],
): Response {
  return c.json({ error: message, code, hint }, STATUS[code]);
}

function about(c: Context, thrown: unknown): Record<string, unknown> {
  return { method: c.req.method, path: c.req.path, error: thrown };
}

/** By shape: an `auth` middleware may come with a copy of Hono of its own. */
function isHttpException(thrown: unknown): thrown is HTTPException {
  return thrown instanceof Error && "status" in thrown && "getResponse" in thrown &&
    typeof thrown.getResponse === "function";
}

/** Puts the exception in our shape, and keeps its headers: a challenge, a cookie. */
function httpProblem(c: Context, thrown: HTTPException): Response {
  const own = thrown.getResponse();
  // Hono's bearer middleware answers 400 where the header holds another scheme or a malformed token.
  const status = own.headers.has("WWW-Authenticate") ? 401 : own.status;
  const known = HTTP_ERRORS[status];
  if (known === undefined) return c.newResponse(own.body, own);
  for (const [name, value] of own.headers) {
    if (!name.startsWith("content-")) c.header(name, value, { append: true });
  }
  return send(c, known[0], thrown.message || known[1]);
}
