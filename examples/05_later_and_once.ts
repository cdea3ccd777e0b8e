/** Jobs that wait: a delay, a unique key that keeps a second one out, and cancelling what is not wanted. */
import { createExtension, defineJob } from "@dispatch/dispatch";

const Remind = defineJob({
  name: "remind",
  handler: (input: { who: string }) => console.log(`reminded ${input.who}`),
});

const dispatch = createExtension({ jobs: [Remind], config: false });
await dispatch.start();
const { engine } = dispatch;

const tomorrow = await engine.enqueue(Remind, { who: "Alan" }, { delay: "1d", tags: ["mail"] });
console.log((await engine.jobs.cancel(tomorrow.id)).state);

const once = { uniqueKey: "remind:ada", delay: "50ms" };
const first = await engine.enqueue(Remind, { who: "Ada" }, once);
const second = await engine.enqueue(Remind, { who: "Ada" }, once);
console.log("one job for both calls:", first.id === second.id);

await engine.result(first.id);
const { completed, cancelled } = await engine.jobs.counts();
console.log({ completed, cancelled });

await dispatch.stop();

// Prints:
// cancelled
// one job for both calls: true
// reminded Ada
// { completed: 1, cancelled: 1 }
