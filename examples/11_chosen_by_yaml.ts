/**
 * The application registers its databases by name; its forge.yaml says which one holds the jobs, and
 * how they are worked on. `deno run -A --import-map=scripts/npm_imports.json examples/11_chosen_by_yaml.ts`
 */
import { PGlite } from "@electric-sql/pglite";
import { createExtension, createRegistry, defineJob } from "@dispatch/dispatch";

const shop = new PGlite(); // or postgres("postgres://…"), new pg.Pool({ … }), or just a URL
const jobs = new PGlite();

const Mail = defineJob({ name: "mail", queue: "mail", handler: (to: string) => `sent to ${to}` });

const dispatch = createExtension({
  registry: createRegistry({ databases: { shop, jobs } }),
  config: import.meta.dirname + "/11_forge.yaml", // without it forge.yaml is looked for
  jobs: [Mail],
});
await dispatch.start();
console.log("routes under", dispatch.basePath);

const job = await dispatch.engine.enqueue(Mail, "ada@example.com");
console.log(await dispatch.engine.result(job.id));

for (const [name, database] of Object.entries({ shop, jobs })) {
  const { rows } = await database.query("select 1 from pg_namespace where nspname = 'dispatch'");
  console.log(name, rows.length === 1 ? "holds the jobs" : "is left alone");
}
await dispatch.stop();
await Promise.all([shop.close(), jobs.close()]);

// Prints:
// routes under /internal/jobs
// sent to ada@example.com
// shop is left alone
// jobs holds the jobs
