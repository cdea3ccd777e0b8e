/**
 * Jobs in one Postgres, worked on by two processes that know nothing of each other. With DATABASE_URL
 * set to a database of yours:
 *
 *     deno run -A --import-map=scripts/npm_imports.json examples/10_two_workers.ts
 */
import { createExtension, createRegistry, defineJob, silentLogger } from "@dispatch/dispatch";

const [role] = Deno.args;

const Count = defineJob({
  name: "count",
  handler: (n: number) => ({ n, by: Deno.pid }),
});

await using dispatch = createExtension({
  registry: createRegistry({ databases: { default: Deno.env.get("DATABASE_URL")! } }),
  groveDatabase: "default",
  jobs: [Count],
  concurrency: role === "worker" ? 2 : 0, // 0 only enqueues
  logger: silentLogger,
  config: false,
});
await dispatch.start();

if (role === "worker") {
  await new Promise((resolve) => Deno.addSignalListener("SIGTERM", () => resolve(null)));
} else {
  const args = ["run", "-A", "--import-map=scripts/npm_imports.json", "examples/10_two_workers.ts"];
  const start = () => new Deno.Command(Deno.execPath(), { args: [...args, "worker"] }).spawn();
  const workers = [start(), start()];
  const items = Array.from({ length: 200 }, (_, n) => ({ job: Count, input: n }));
  const jobs = await dispatch.engine.enqueueMany(items);
  const results = await Promise.all(jobs.map((job) => dispatch.engine.result(job.id)));
  for (const worker of workers) worker.kill("SIGTERM");
  const ends = await Promise.all(workers.map((worker) => worker.status));
  console.log(new Set(results.map((result) => JSON.stringify(result))).size, "jobs were run");
  console.log("workers ended well:", ends.every(({ success }) => success));
}
// Prints:
// 200 jobs were run
// workers ended well: true
