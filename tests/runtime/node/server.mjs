/** An application as one writes it for Node: Hono's server, Dispatch in it, and an end on SIGTERM. */
import { createServer } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { createExtension, createRegistry, defineJob, engineFrom } from "@dispatch/dispatch";
import { Hono } from "hono";

const Slow = defineJob({
  name: "slow",
  handler: async (input) => {
    console.log("handler runs");
    await new Promise((resolve) => setTimeout(resolve, input.ms));
    return { waited: input.ms };
  },
});

const dispatch = createExtension({
  registry: createRegistry({ databases: { default: process.env.DATABASE_URL } }),
  groveDatabase: "default",
  auth: { bearer: "secret" },
  jobs: [Slow],
  concurrency: 1,
  config: false,
});
const app = new Hono();
dispatch.register(app);
app.post("/slow/:ms", async (c) => {
  const job = await engineFrom(c).enqueue(Slow, { ms: Number(c.req.param("ms")) });
  return c.json({ job: job.id }, 202);
});

await dispatch.start();
const server = createServer(getRequestListener(app.fetch));
server.listen(0, "127.0.0.1", () => console.log(`listening on ${server.address().port}`));

process.once("SIGTERM", async () => {
  server.close();
  await dispatch.stop();
  console.log("stopped");
});
