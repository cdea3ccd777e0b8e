/** A schema of any Standard Schema library checks the input where it is enqueued and where it runs. */
import * as v from "valibot";
import { createExtension, defineJob, DispatchError } from "@dispatch/dispatch";

const Invoice = defineJob({
  name: "send_invoice",
  input: v.object({
    to: v.pipe(v.string(), v.email("is no e-mail address")),
    cents: v.pipe(v.number(), v.integer(), v.minValue(1)),
    due: v.pipe(v.string(), v.isoDate(), v.transform((text) => new Date(text))),
  }),
  handler: ({ to, cents, due }) => `${to} owes ${cents / 100} until ${due.toDateString()}`,
});

const dispatch = createExtension({ jobs: [Invoice], config: false });
await dispatch.start();

try {
  await dispatch.engine.enqueue(Invoice, { to: "nobody", cents: 1250, due: "2027-01-31" });
} catch (error) {
  if (error instanceof DispatchError) console.log(`${error.code}: ${error.message}`);
}

const job = await dispatch.engine.enqueue(Invoice, {
  to: "ada@example.com",
  cents: 1250,
  due: "2027-01-31",
});
console.log(await dispatch.engine.result(job.id));

await dispatch.stop();

// Prints:
// invalid_payload: Cannot accept the input of send_invoice: to: is no e-mail address
// ada@example.com owes 12.5 until Sun Jan 31 2027
