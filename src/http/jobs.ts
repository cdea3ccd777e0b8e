import { Hono } from "@hono/hono";
import * as v from "valibot";
import { parseDuration, parseMoment } from "../core/duration.ts";
import { DispatchError, notFound } from "../core/errors.ts";
import { JOB_STATES } from "../core/job.ts";
import { checkCount } from "../engine/definition.ts";
import type { Engine } from "../engine/engine.ts";
import type { EnqueueOptions } from "../engine/enqueue.ts";
import { readBody, readOptionalBody } from "./body.ts";
import { DURATION } from "./check.ts";
import { PAGE, readQuery, sendPage } from "./query.ts";
import { jobToWire } from "./wire.ts";

const FILTER = {
  state: v.optional(v.picklist(JOB_STATES)),
  queue: v.optional(v.string()),
  name: v.optional(v.string()),
};

const SCOPE_RULE = "must have 1 to 200 characters";
const SCOPE_PART = v.optional(
  v.pipe(v.string(), v.minLength(1, SCOPE_RULE), v.maxLength(200, SCOPE_RULE)),
);

const NEW_JOB = {
  name: v.string(),
  payload: v.optional(v.unknown()),
  queue: v.optional(v.string()),
  priority: v.optional(v.number()),
  run_at: v.optional(v.string()),
  delay: v.optional(DURATION),
  max_retries: v.optional(v.number()),
  timeout: v.optional(DURATION),
  unique_key: v.optional(v.string()),
  tags: v.optional(v.array(v.string())),
  scope_app_id: SCOPE_PART,
  scope_org_id: SCOPE_PART,
};
type NewJobBody = v.InferOutput<v.ObjectSchema<typeof NEW_JOB, undefined>>;

/** `/v1/jobs`. */
export function jobRoutes(engine: Engine): Hono {
  const { jobs } = engine;
  const routes = new Hono();
  routes.get("/", async (c) => {
    return sendPage(c, await jobs.list(readQuery(c, { ...FILTER, ...PAGE })), jobToWire);
  });
  routes.post("/", async (c) => {
    const body = await readBody(c, NEW_JOB);
    const job = await engine.enqueue(body.name, body.payload, toOptions(body));
    c.header("Location", new URL(`jobs/${job.id}`, c.req.url).pathname);
    return c.json(jobToWire(job), 201);
  });
  routes.get("/counts", async (c) => {
    readQuery(c, {});
    return c.json(await jobs.counts());
  });
  routes.get("/:jobId", async (c) => {
    readQuery(c, {});
    const id = c.req.param("jobId");
    const job = await jobs.get(id);
    if (job === null) throw notFound("job", id);
    return c.json(jobToWire(job));
  });
  routes.post("/:jobId/cancel", async (c) => {
    await readOptionalBody(c, {});
    await jobs.cancel(c.req.param("jobId"));
    return c.body(null, 204);
  });
  routes.post("/:jobId/retry", async (c) => {
    await readOptionalBody(c, {});
    await jobs.retry(c.req.param("jobId"));
    return c.body(null, 204);
  });
  return routes;
}

/** Reads here what the engine would otherwise refuse under a name that is not the one on the wire. */
function toOptions(body: NewJobBody): EnqueueOptions {
  const { run_at, delay, max_retries } = body;
  if (run_at !== undefined && delay !== undefined) {
    throw new DispatchError("invalid_request", "Cannot enqueue with both run_at and delay", {
      hint: "Give one of the two.",
    });
  }
  return {
    queue: body.queue,
    priority: body.priority,
    runAt: run_at === undefined ? undefined : new Date(parseMoment(run_at, "run_at")),
    delay: delay === undefined ? undefined : parseDuration(delay, "delay"),
    maxRetries: max_retries === undefined ? undefined : checkCount(max_retries, "max_retries"),
    timeout: body.timeout,
    uniqueKey: body.unique_key,
    tags: body.tags,
    scope: { appId: body.scope_app_id, orgId: body.scope_org_id },
  };
}
