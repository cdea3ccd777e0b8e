/** The application of examples/14_node_app: over HTTP, and told to end in the middle of a job. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { postgresStore } from "@dispatch/dispatch/postgres";

/** Starts the application, and waits for lines that it prints. */
async function start() {
  const child = spawn(process.execPath, ["main.mjs"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ADMIN_TOKEN: "secret", PORT: "0" },
  });
  let printed = "";
  child.stdout.setEncoding("utf8").on("data", (text) => (printed += text));
  const prints = async (pattern) => {
    while (!pattern.test(printed)) await once(child.stdout, "data");
    return pattern.exec(printed);
  };
  const [, port] = await prints(/listening on (\d+)/);
  return { child, prints, origin: `http://127.0.0.1:${port}` };
}

const headers = { authorization: "Bearer secret" };

test("the extension under @hono/node-server runs a job and shows it", async () => {
  const { child, origin } = await start();
  const { job } = await (await fetch(`${origin}/slow/1`, { method: "POST" })).json();
  assert.match(job, /^job_/);
  const api = `${origin}/api/dispatch`;
  assert.equal((await fetch(`${api}/v1/jobs/${job}`)).status, 401);
  let seen;
  do {
    seen = await (await fetch(`${api}/v1/jobs/${job}`, { headers })).json();
  } while (!["completed", "failed"].includes(seen.state));
  assert.deepEqual([seen.state, seen.result], ["completed", { waited: 1 }]);
  assert.equal((await fetch(`${api}/health`)).status, 200);
  child.kill("SIGTERM");
  assert.deepEqual(await once(child, "exit"), [0, null]);
});

test("SIGTERM lets the running job finish, leaves the next one, and ends by itself", async () => {
  const { child, prints, origin } = await start();
  const enqueue = async () =>
    (await (await fetch(`${origin}/slow/700`, { method: "POST" })).json()).job;
  const running = await enqueue();
  await prints(/handler runs/);
  const waiting = await enqueue();
  child.kill("SIGTERM");
  const exit = once(child, "exit");
  await prints(/stopped/);
  assert.deepEqual(await exit, [0, null]);
  const store = postgresStore(process.env.DATABASE_URL);
  const jobs = await store.jobs.get([running, waiting]);
  assert.deepEqual(jobs.map((job) => job.state), ["completed", "pending"]);
  await store.jobs.remove(waiting);
  await store.close();
});
