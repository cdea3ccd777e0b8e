/** Middleware wraps every handler; a lifecycle extension is told what happens. */
import { createExtension, defineJob, type Middleware, recover, scope } from "@dispatch/dispatch";

const shout: Middleware = async (_job, next) => String(await next()).toUpperCase();

const Greet = defineJob({
  name: "greet",
  handler: async (input: { name: string }, job) => {
    await job.progress({ greeted: input.name });
    return `hello ${input.name} of ${job.scope.orgId}`;
  },
});

const dispatch = createExtension({
  jobs: [Greet],
  middleware: [recover(), scope(), shout], // the first is the outermost
  extensions: [{
    name: "log",
    onJobEnqueued: (job) => console.log("enqueued", job.name),
    onJobStarted: (job) => console.log("started, attempt", job.attempt),
    onJobCompleted: (job) => console.log("completed with", job.result),
    onShutdown: () => console.log("stopping"),
  }],
  config: false,
});
await dispatch.start();

const job = await dispatch.engine.enqueue(Greet, { name: "Ada" }, { scope: { orgId: "acme" } });
await dispatch.engine.result(job.id);
console.log("progress", (await dispatch.engine.jobs.get(job.id))?.progress);

await dispatch.stop();

// Prints:
// enqueued greet
// started, attempt 1
// completed with HELLO ADA OF ACME
// progress { greeted: "Ada" }
// stopping
