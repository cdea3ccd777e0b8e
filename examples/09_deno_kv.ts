/**
 * Jobs in a Deno KV: durable with nothing to install. They are enqueued in your own atomic operation,
 * and completed in one with your own writes.
 */
import { createExtension, createRegistry, defineJob } from "@dispatch/dispatch";

const kv = await Deno.openKv(":memory:"); // or a path, or just its path or URL in the registry

const Charge = defineJob({
  name: "charge",
  handler: (order: number, job) =>
    job.transaction(async (op: Deno.AtomicOperation) => { // exactly once: both happen, or neither
      op.set(["orders", order], { paid: true });
      return await Promise.resolve(`order ${order} is paid`);
    }),
});

const dispatch = createExtension({
  registry: createRegistry({ kvs: { default: kv } }),
  groveKv: "default",
  jobs: [Charge],
  config: false,
});
await dispatch.start();

const op = kv.atomic().set(["orders", 7], { paid: false });
const job = await dispatch.engine.enqueue(Charge, 7, { tx: op });
await op.commit(); // the job is there exactly from here on
console.log(await dispatch.engine.result(job.id));
console.log((await kv.get(["orders", 7])).value);

await dispatch.stop();
kv.close();

// Prints:
// order 7 is paid
// { paid: true }
