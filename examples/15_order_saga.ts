/** Kill this in the middle of an order, start it again: the order goes on where it stood. */
import { createExtension, createRegistry, defineWorkflow, discard } from "@dispatch/dispatch";

const said = (line: string) => new Promise((resolve) => setTimeout(resolve, 50, console.log(line)));
const Order = defineWorkflow({
  name: "order",
  handler: async (item: string, step) => {
    await step.run("reserve", () => said(`reserve ${item}`));
    await step.run("charge", () => said(`charge for ${item}`), {
      compensate: () => said(`refund ${item}`), // when the run fails for good
    });
    await step.sleep("cool off", "100ms"); // holds no slot, no timer, no connection
    await step.run("mail", () => said(`mail of ${item}`));
    const ship = () => item === "sofa" ? Promise.reject(discard()) : said(`ship ${item}`);
    await step.run("ship", ship);
  },
});
const [url, path] = ["DATABASE_URL", "KV_PATH"].map((name) => Deno.env.get(name));
const registry = createRegistry(url ? { databases: { url } } : path ? { kvs: { path } } : {});
const dispatch = createExtension({
  ...{ registry, groveDatabase: url && "url", groveKv: path && "path" }, // neither: in memory
  workflows: [Order],
  leaseDuration: "3s", // how long after a kill another process takes over; default 30 s
  heartbeatInterval: "1s",
  config: false,
});
await dispatch.start();
for (const [i, item] of ["lamp", "sofa"].entries()) {
  const id = `run_01jd0gxm6te4fs5b9v3q8n2kz${i}`; // makes the start idempotent
  await dispatch.engine.startWorkflow(Order, item, { id });
  console.log(await dispatch.engine.result(id).then(() => "done", () => "undone"));
}
await dispatch.stop();

// Prints:
// reserve lamp
// charge for lamp
// mail of lamp
// ship lamp
// done
// reserve sofa
// charge for sofa
// mail of sofa
// refund sofa
// undone
