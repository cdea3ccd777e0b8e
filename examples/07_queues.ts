/** Queues have workers, priorities and limits, and can be held. */
import { createExtension, defineJob } from "@dispatch/dispatch";

const Print = defineJob({
  name: "print",
  queue: "printer",
  handler: (input: { page: string }) => console.log(`printed ${input.page}`),
});

const dispatch = createExtension({
  jobs: [Print],
  queues: ["default", "printer"],
  queueLimits: { printer: { concurrency: 1 } }, // one at a time, over all processes of the store
  config: false,
});
await dispatch.start();
const { engine } = dispatch;

await engine.queues.pause("printer");
const jobs = [
  await engine.enqueue(Print, { page: "a long report" }),
  await engine.enqueue(Print, { page: "an urgent letter" }, { priority: 10 }),
];
const [printer] = await engine.queues.list();
console.log(printer.name, printer.paused, printer.counts.pending);

await engine.queues.resume("printer");
for (const job of jobs) await engine.result(job.id);

await dispatch.stop();

// Prints:
// printer true 2
// printed an urgent letter
// printed a long report
