import { Hono } from "@hono/hono";
import type { Engine } from "../engine/engine.ts";
import { readOptionalBody } from "./body.ts";
import { readQuery } from "./query.ts";
import { queueToWire } from "./wire.ts";

/** `/v1/queues`. */
export function queueRoutes({ queues }: Engine): Hono {
  const routes = new Hono();
  routes.get("/", async (c) => {
    readQuery(c, {});
    return c.json((await queues.list()).map(queueToWire));
  });
  routes.post("/:queue/pause", async (c) => {
    await readOptionalBody(c, {});
    await queues.pause(c.req.param("queue"));
    return c.body(null, 204);
  });
  routes.post("/:queue/resume", async (c) => {
    await readOptionalBody(c, {});
    await queues.resume(c.req.param("queue"));
    return c.body(null, 204);
  });
  return routes;
}
