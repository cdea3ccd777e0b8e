/** A job: defined, enqueued, run, and its result awaited. */
import { createExtension, defineJob } from "@dispatch/dispatch";

const Resize = defineJob({
  name: "resize_image",
  handler: (input: { file: string; width: number }) => `${input.file} is now ${input.width} wide`,
});

const dispatch = createExtension({ jobs: [Resize], config: false });
await dispatch.start();

const job = await dispatch.engine.enqueue(Resize, { file: "cat.png", width: 640 });
console.log(job.state);
console.log(await dispatch.engine.result(job.id, { timeout: "5s" }));

await dispatch.stop();

// Prints:
// pending
// cat.png is now 640 wide
