/**
 * The admin API behind a login: any Hono middleware decides who may use it. Here a browser asks for
 * name and password. `deno run -A --import-map=scripts/npm_imports.json examples/13_admin_login.ts`
 */
import { Hono } from "@hono/hono";
import { basicAuth } from "@hono/hono/basic-auth";
import { createExtension, defineJob } from "@dispatch/dispatch";

const password = Deno.env.get("ADMIN_PASSWORD") ?? crypto.randomUUID();

const Report = defineJob({ name: "report", handler: () => ({ pages: 12 }) });
const dispatch = createExtension({
  jobs: [Report],
  auth: basicAuth({ username: "admin", password }), // or { bearer: "token" }, or a session of yours
  config: false,
});
const app = new Hono();
dispatch.register(app);
await dispatch.start();
await dispatch.engine.enqueue(Report, null, { delay: "1h" });

// An application would now call Deno.serve(app.fetch); this one makes the requests itself.
const list = (headers?: HeadersInit) => app.request("/api/dispatch/v1/jobs", { headers });
const login = { authorization: `Basic ${btoa(`admin:${password}`)}` };
console.log("a stranger:", (await list()).status);

const [job] = await (await list(login)).json();
console.log("the admin:", job.name, job.state);

const cancel = `/api/dispatch/v1/jobs/${job.id}/cancel`;
console.log("cancels it:", (await app.request(cancel, { method: "POST", headers: login })).status);
console.log("load balancers need none:", (await app.request("/api/dispatch/health")).status);
await dispatch.stop();

// Prints:
// a stranger: 401
// the admin: report pending
// cancels it: 204
// load balancers need none: 200
