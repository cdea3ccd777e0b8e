/** A job that fails is retried; one that keeps failing becomes a dead letter, which can be replayed. */
import { constant, createExtension, defineJob, silentLogger } from "@dispatch/dispatch";

let shopIsOpen = false;

const Order = defineJob({
  name: "place_order",
  maxRetries: 2,
  backoff: constant("10ms"),
  handler: (input: { item: string }, job) => {
    console.log(`attempt ${job.attempt}`);
    if (!shopIsOpen) throw new Error("the shop is closed");
    return `${input.item} ordered`;
  },
});

const dispatch = createExtension({ jobs: [Order], config: false, logger: silentLogger });
await dispatch.start();
const { engine } = dispatch;

const job = await engine.enqueue(Order, { item: "tea" });
await engine.result(job.id).catch((error) =>
  console.log(`${error.code}: ${error.message.split(": ")[1]}`)
);

const [letter] = await engine.dlq.list();
console.log(`${letter.jobName} died of "${letter.error}" after ${letter.retryCount} retries`);

shopIsOpen = true;
const again = await engine.dlq.replay(letter.id);
console.log(await engine.result(again.id));

await dispatch.stop();

// Prints:
// attempt 1
// attempt 2
// attempt 3
// job_failed: the shop is closed
// place_order died of "the shop is closed" after 2 retries
// attempt 1
// tea ordered
