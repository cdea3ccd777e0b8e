import { Hono } from "@hono/hono";
import * as v from "valibot";
import { parseDuration, parseMoment } from "../core/duration.ts";
import { DispatchError, notFound } from "../core/errors.ts";
import { RUN_STATES } from "../core/run_view.ts";
import type { Engine } from "../engine/engine.ts";
import { readBody, readOptionalBody } from "./body.ts";
import { DURATION } from "./check.ts";
import { PAGE, readQuery, sendPage } from "./query.ts";
import { eventToWire, runToWire, stepToWire } from "./wire.ts";

const FILTER = {
  state: v.optional(v.picklist(RUN_STATES)),
  name: v.optional(v.string()),
  parent_run_id: v.optional(v.string()),
};

const NEW_RUN = {
  name: v.string(),
  input: v.optional(v.unknown()),
  id: v.optional(v.string()),
  unique_key: v.optional(v.string()),
  queue: v.optional(v.string()),
  priority: v.optional(v.number()),
  run_at: v.optional(v.string()),
  delay: v.optional(DURATION),
  tags: v.optional(v.array(v.string())),
  scope_app_id: v.optional(v.string()),
  scope_org_id: v.optional(v.string()),
};

const NEW_EVENT = {
  name: v.string(),
  payload: v.optional(v.unknown()),
  idempotency_key: v.optional(v.string()),
};

/** `/v1/workflows`. */
export function workflowRoutes(engine: Engine): Hono {
  const { runs } = engine;
  const routes = new Hono();
  routes.get("/", (c) => {
    readQuery(c, {});
    return c.json({ names: runs.names() });
  });
  routes.get("/runs", async (c) => {
    const { parent_run_id, ...query } = readQuery(c, { ...FILTER, ...PAGE });
    return sendPage(c, await runs.list({ ...query, parentRunId: parent_run_id }), runToWire);
  });
  routes.post("/runs", async (c) => {
    const body = await readBody(c, NEW_RUN);
    const { run_at, delay } = body;
    if (run_at !== undefined && delay !== undefined) {
      throw new DispatchError("invalid_request", "Cannot start with both run_at and delay", {
        hint: "Give one of the two.",
      });
    }
    const run = await engine.startWorkflow(body.name, body.input, {
      id: body.id,
      uniqueKey: body.unique_key,
      queue: body.queue,
      priority: body.priority,
      runAt: run_at === undefined ? undefined : new Date(parseMoment(run_at, "run_at")),
      delay: delay === undefined ? undefined : parseDuration(delay, "delay"),
      tags: body.tags,
      scope: { appId: body.scope_app_id, orgId: body.scope_org_id },
    });
    c.header("Location", new URL(`runs/${run.id}`, c.req.url).pathname);
    return c.json(runToWire(run), 201);
  });
  routes.get("/runs/:runId", async (c) => {
    readQuery(c, {});
    const id = c.req.param("runId");
    const run = await runs.get(id);
    if (run === null) throw notFound("run", id);
    return c.json(runToWire(run));
  });
  routes.get("/runs/:runId/timeline", async (c) => {
    readQuery(c, {});
    return c.json((await runs.timeline(c.req.param("runId"))).map(stepToWire));
  });
  routes.post("/runs/:runId/cancel", async (c) => {
    const { compensate } = await readOptionalBody(c, { compensate: v.optional(v.boolean()) });
    return c.json(runToWire(await runs.cancel(c.req.param("runId"), { compensate })));
  });
  routes.post("/runs/:runId/replay", async (c) => {
    const { step } = await readBody(c, { step: v.string() });
    return c.json(runToWire(await runs.replayFrom(c.req.param("runId"), step)));
  });
  routes.post("/runs/:runId/events", async (c) => {
    const { name, payload, idempotency_key } = await readBody(c, NEW_EVENT);
    const options = { idempotencyKey: idempotency_key };
    const event = await engine.triggerEvent(c.req.param("runId"), name, payload, options);
    return c.json(eventToWire(event), 201);
  });
  return routes;
}
