import { Hono } from "@hono/hono";
import * as v from "valibot";
import { type Duration, parseDuration } from "../core/duration.ts";
import { notFound } from "../core/errors.ts";
import type { DeadLetterFilter } from "../engine/dead_letters.ts";
import type { Engine } from "../engine/engine.ts";
import { readOptionalBody } from "./body.ts";
import { DURATION } from "./check.ts";
import { FLAG, PAGE, readQuery, sendPage } from "./query.ts";
import { deadLetterToWire, jobToWire } from "./wire.ts";

const FILTER = {
  queue: v.optional(v.string()),
  job_name: v.optional(v.string()),
  older_than: v.optional(DURATION),
};
const QUERY = { ...FILTER, replayed: v.optional(FLAG) };
const BODY = { ...FILTER, replayed: v.optional(v.boolean()) };

/** `/v1/dlq`. */
export function deadLetterRoutes({ dlq }: Engine): Hono {
  const routes = new Hono();
  routes.get("/", async (c) => {
    const query = readQuery(c, { ...QUERY, ...PAGE });
    const { limit, offset, cursor } = query;
    const letters = await dlq.list({ ...toFilter(query), limit, offset, cursor });
    return sendPage(c, letters, deadLetterToWire);
  });
  routes.get("/count", async (c) => {
    return c.json({ count: await dlq.count(toFilter(readQuery(c, QUERY))) });
  });
  routes.post("/replay-all", async (c) => {
    const { replayed, errors } = await dlq.replayAll(toFilter(await readOptionalBody(c, FILTER)));
    return c.json({ replayed, errors });
  });
  routes.post("/purge", async (c) => {
    return c.json({ purged: await dlq.purge(toFilter(await readOptionalBody(c, BODY))) });
  });
  routes.get("/:entryId", async (c) => {
    readQuery(c, {});
    const id = c.req.param("entryId");
    const letter = await dlq.get(id);
    if (letter === null) throw notFound("dead letter", id);
    return c.json(deadLetterToWire(letter));
  });
  routes.post("/:entryId/replay", async (c) => {
    await readOptionalBody(c, {});
    const job = await dlq.replay(c.req.param("entryId"));
    c.header("Location", new URL(`../../jobs/${job.id}`, c.req.url).pathname);
    return c.json(jobToWire(job), 201);
  });
  return routes;
}

function toFilter(
  { queue, job_name, replayed, older_than }: {
    queue?: string;
    job_name?: string;
    replayed?: boolean;
    older_than?: Duration;
  },
): DeadLetterFilter {
  return {
    queue,
    jobName: job_name,
    replayed,
    olderThan: older_than === undefined ? undefined : parseDuration(older_than, "older_than"),
  };
}
