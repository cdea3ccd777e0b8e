/** Dispatch in a Hono app: requests enqueue, and the admin API is mounted beside them. */
import { Hono } from "@hono/hono";
import { createExtension, defineJob, engineFrom } from "@dispatch/dispatch";

const Welcome = defineJob({
  name: "welcome",
  handler: (input: { name: string }) => console.log(`Welcome, ${input.name}!`),
});

const dispatch = createExtension({ jobs: [Welcome], config: false });
const app = new Hono();
dispatch.register(app); // mounts /api/dispatch and lets handlers reach the engine
app.post("/users/:name", async (c) => {
  const job = await engineFrom(c).enqueue(Welcome, { name: c.req.param("name") });
  return c.json({ job: job.id }, 202);
});

await dispatch.start();

// An application would now call Deno.serve(app.fetch); this one makes the requests itself.
const accepted = await app.request("/users/Grace", { method: "POST" });
const { job } = await accepted.json();
await dispatch.engine.result(job, { timeout: "5s" });

const seen = await app.request(`/api/dispatch/v1/jobs/${job}`);
console.log(accepted.status, (await seen.json()).state);

await dispatch.stop();

// Prints:
// Welcome, Grace!
// 202 completed
