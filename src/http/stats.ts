import { Hono } from "@hono/hono";
import type { Engine } from "../engine/engine.ts";
import { readQuery } from "./query.ts";

/** `/v1/stats`. */
export function statsRoutes(engine: Engine): Hono {
  const routes = new Hono();
  routes.get("/", async (c) => {
    readQuery(c, {});
    const { jobs, dlqCount, workflows, unserved } = await engine.stats();
    return c.json({ jobs, dlq_count: dlqCount, workflows, unserved });
  });
  return routes;
}
