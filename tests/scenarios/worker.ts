/**
 * A worker process for the crash test: runs jobs of the database that DATABASE_URL names, or of the KV
 * at KV_PATH, and prints the id of each that it starts. The first attempt of a job never ends.
 */
import { createExtension, createRegistry, defineJob, silentLogger } from "@dispatch/dispatch";

const Stubborn = defineJob({
  name: "stubborn",
  handler: async (_: unknown, job) => {
    console.log(`started ${job.id}`);
    if (job.attempt === 1) await new Promise(() => {});
    return { attempt: job.attempt };
  },
});

const kv = Deno.env.get("KV_PATH");
const dispatch = createExtension({
  ...(kv === undefined
    ? {
      registry: createRegistry({ databases: { default: Deno.env.get("DATABASE_URL")! } }),
      groveDatabase: "",
    }
    : { registry: createRegistry({ kvs: { default: kv } }), groveKv: "" }),
  jobs: [Stubborn],
  leaseDuration: "2s",
  heartbeatInterval: "500ms",
  config: false,
  disableRoutes: true,
  logger: silentLogger,
});
await dispatch.start();
console.log("ready");
