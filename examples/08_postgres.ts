/**
 * Jobs in Postgres: enqueued in your own transaction, and completed in one with your own writes. The
 * database is an embedded one here, so that there is nothing to install.
 */
import { PGlite, type Transaction } from "@electric-sql/pglite";
import { createExtension, createRegistry, defineJob } from "@dispatch/dispatch";

const db = new PGlite(); // or postgres("postgres://…"), new pg.Pool({ … }), or just the URL
await db.exec("create table orders (id int, paid boolean default false)");

const Charge = defineJob({
  name: "charge",
  handler: (order: number, job) =>
    job.transaction(async (tx: Transaction) => { // exactly once: both happen, or neither
      await tx.query("update orders set paid = true where id = $1", [order]);
      return `order ${order} is paid`;
    }),
});

const dispatch = createExtension({
  registry: createRegistry({ databases: { default: db } }),
  groveDatabase: "default",
  jobs: [Charge],
  config: false,
});
await dispatch.start(); // creates the schema "dispatch"

const job = await db.transaction(async (tx) => {
  await tx.query("insert into orders values (7)");
  return dispatch.engine.enqueue(Charge, 7, { tx }); // is there exactly when this commits
});
console.log(await dispatch.engine.result(job.id));
console.log((await db.query("select * from orders")).rows);

await dispatch.stop();
await db.close();

// Prints:
// order 7 is paid
// [ { id: 7, paid: true } ]
