/**
 * An application in Node: Hono's server, Dispatch in it, and an end without loss on SIGTERM or Ctrl-C.
 *
 *     npm install
 *     DATABASE_URL=postgres://localhost/app npm start
 */
import { serve } from "@hono/node-server";
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
  auth: { bearer: process.env.ADMIN_TOKEN ?? crypto.randomUUID() },
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
const port = Number(process.env.PORT ?? 8000);
const server = serve({ fetch: app.fetch, port }, (at) => console.log(`listening on ${at.port}`));

async function stop() {
  server.close();
  await dispatch.stop(); // running jobs end, the rest stays for others
  console.log("stopped");
}
process.once("SIGTERM", stop).once("SIGINT", stop);
