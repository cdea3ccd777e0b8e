/**
 * A worker process on the KV at KV_PATH. It never polls by itself for as long as a test lasts: hints
 * have to reach it. Jobs called `counted` note in the same transaction how often each was completed.
 */
import { createExtension, createRegistry, defineJob, silentLogger } from "@dispatch/dispatch";

const Counted = defineJob({
  name: "counted",
  handler: (_: unknown, job) =>
    // deno-lint-ignore require-await -- it only adds to the operation
    job.transaction(async (op: Deno.AtomicOperation) => void op.sum(["audit", job.id], 1n)),
});
const Noop = defineJob({ name: "noop", handler: () => {} });

const dispatch = createExtension({
  registry: createRegistry({ kvs: { default: Deno.env.get("KV_PATH")! } }),
  groveKv: "",
  jobs: [Counted, Noop],
  pollInterval: "1h",
  maxPollInterval: "1h",
  leaseDuration: "2s",
  heartbeatInterval: "500ms",
  config: false,
  disableRoutes: true,
  logger: silentLogger,
});
await dispatch.start();
console.log("ready");
