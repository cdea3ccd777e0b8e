/**
 * A durable workflow: kill this program in the middle of an order and start it again with the same
 * DATABASE_URL, and the order goes on where it stood; when it fails for good, what was done is undone.
 * Without DATABASE_URL it runs in memory.
 */
import { createExtension, createRegistry, defineWorkflow } from "@dispatch/dispatch";

const said = (line: string) => new Promise((resolve) => setTimeout(resolve, 50, console.log(line)));

const Order = defineWorkflow({
  name: "order",
  version: 1,
  handler: async ({ item, inStock }: { item: string; inStock: boolean }, step) => {
    await step.run("reserve", () => said(`reserve ${item}`), {
      compensate: () => said(`give back ${item}`),
    });
    await step.run("charge", () => said(`charge for ${item}`), {
      compensate: () => said(`refund ${item}`),
    });
    await step.sleep("cool off", "100ms"); // holds no slot, no timer, no connection
    await step.parallel("notify", [() => said(`mail of ${item}`)]);
    await step.run("ship", async () => {
      await said(`ship ${item}`);
      if (!inStock) throw new Error(`no ${item} is left`);
    }, { maxRetries: 0 });
    return `${item} is on its way`;
  },
});

const url = Deno.env.get("DATABASE_URL");
const dispatch = createExtension({
  registry: createRegistry(url === undefined ? {} : { databases: { default: url } }),
  groveDatabase: url === undefined ? undefined : "default",
  workflows: [Order],
  leaseDuration: "3s", // how long after a kill the next process takes over; default 30 s
  heartbeatInterval: "1s",
  pollInterval: "200ms",
  config: false,
  disableRoutes: true,
  logger: { debug() {}, info() {}, warn() {}, error() {} },
});
await dispatch.start();

// An id of your own makes the start idempotent: the second program finds the run of the first.
const lamp = await dispatch.engine.startWorkflow(Order, { item: "lamp", inStock: true }, {
  id: "run_01jd0gxm6te4fs5b9v3q8n2kzr",
});
console.log(await dispatch.engine.result(lamp.id));

const sofa = await dispatch.engine.startWorkflow(Order, { item: "sofa", inStock: false }, {
  id: "run_01jd0gxm6te4fs5b9v3q8n2kzs",
});
await dispatch.engine.result(sofa.id).catch((error) => console.log(error.message));

await dispatch.stop();

// Prints:
// reserve lamp
// charge for lamp
// mail of lamp
// ship lamp
// lamp is on its way
// reserve sofa
// charge for sofa
// mail of sofa
// ship sofa
// refund sofa
// give back sofa
// order run_01jd0gxm6te4fs5b9v3q8n2kzs failed (step_failed): Step "ship" failed: no sofa is left
