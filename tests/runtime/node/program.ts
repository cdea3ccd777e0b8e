/** A program as a user types it, for `tsc --strict` to read: what is inferred, and what is refused. */
import { createExtension, createRegistry, defineJob, type Job } from "@dispatch/dispatch";
import { postgresStore } from "@dispatch/dispatch/postgres";
import { drain, heldClock } from "@dispatch/dispatch/testing";
import type { TransactionSql } from "postgres";

const Add = defineJob({
  name: "add",
  timeout: "5s",
  handler: (input: { a: number; b: number }, job) => {
    job.signal.throwIfAborted();
    return input.a + input.b;
  },
});

const Pay = defineJob({
  name: "pay",
  handler: (order: number, job) =>
    job.transaction(async (tx: TransactionSql) => {
      await tx`update orders set paid = true where id = ${order}`;
      return order;
    }),
});

export async function main(): Promise<number | undefined> {
  const clock = heldClock();
  await using dispatch = createExtension({
    registry: createRegistry({ databases: { jobs: "postgres://localhost/jobs" } }),
    store: postgresStore("postgres://localhost/jobs", { schema: "jobs", clock }),
    jobs: [Add, Pay],
    config: false,
    clock,
  });
  await dispatch.start();
  const job: Job = await dispatch.engine.enqueue(Add, { a: 1, b: 2 }, { delay: "1m" });
  // @ts-expect-error -- the input is not of the job's type
  await dispatch.engine.enqueue(Add, { a: "1" });
  await drain(dispatch.engine, { clock });
  return await dispatch.engine.result<number>(job.id);
}
