/** An application that imports Dispatch from JSR: mounted in Hono, one job and one run, read over HTTP. */
import { Hono } from "@hono/hono";
import { createExtension, defineJob, defineWorkflow, engineFrom } from "@dispatch/dispatch";

const Greet = defineJob({ name: "greet", handler: (name: string) => `Hello, ${name}!` });
const Welcome = defineWorkflow({
  name: "welcome",
  handler: (name: string, step) => step.run("greet", () => `Welcome, ${name}!`),
});
const dispatch = createExtension({ jobs: [Greet], workflows: [Welcome], config: false });
const app = new Hono();
dispatch.register(app);
app.post(
  "/greet/:name",
  async (c) => c.json(await engineFrom(c).enqueue(Greet, c.req.param("name"))),
);
await dispatch.start();

const server = Deno.serve({ port: 0, onListen() {} }, app.fetch);
const origin = `http://127.0.0.1:${server.addr.port}`;
const { id } = await (await fetch(`${origin}/greet/Ada`, { method: "POST" })).json();
await dispatch.engine.result(id, { timeout: "10s" });
const { state, result } = await (await fetch(`${origin}/api/dispatch/v1/jobs/${id}`)).json();
console.log(state, result);

const run = await dispatch.engine.startWorkflow(Welcome, "Ada");
await dispatch.engine.result(run.id, { timeout: "10s" });
const path = `/api/dispatch/v1/workflows/runs/${run.id}`;
const ended = await (await fetch(`${origin}${path}`)).json();
console.log(ended.state, ended.output);

await server.shutdown();
await dispatch.stop();
