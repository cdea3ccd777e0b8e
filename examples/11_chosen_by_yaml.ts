/**
 * The application registers its databases and KVs by name; its forge.yaml says which one holds the
 * jobs, and how they are worked on. Here it runs with two such files.
 *
 *     deno run -A --import-map=scripts/npm_imports.json examples/11_chosen_by_yaml.ts
 */
import { PGlite } from "@electric-sql/pglite";
import { createExtension, createRegistry, defineJob } from "@dispatch/dispatch";

// Or a postgres:// URL, postgres("postgres://…"), new pg.Pool({ … })
const databases = { shop: await PGlite.create(), jobs: await PGlite.create() };
const kvs = { cache: await Deno.openKv(":memory:"), local: await Deno.openKv(":memory:") }; // or paths

const Mail = defineJob({ name: "mail", queue: "mail", handler: (to: string) => `sent to ${to}` });

for (const file of ["11_forge.yaml", "11_forge_kv.yaml"]) {
  const dispatch = createExtension({
    registry: createRegistry({ databases, kvs }),
    config: `${import.meta.dirname}/${file}`, // without it forge.yaml is looked for
    jobs: [Mail],
  });
  await dispatch.start();
  const job = await dispatch.engine.enqueue(Mail, "ada@example.com");
  console.log(file, "|", await dispatch.engine.result(job.id), "| routes:", dispatch.basePath);
  await dispatch.stop();

  for (const [name, database] of Object.entries(databases)) {
    const { rows } = await database.query("select 1 from pg_namespace where nspname = 'dispatch'");
    if (rows.length > 0) console.log("jobs are in the database", name);
  }
  for (const [name, kv] of Object.entries(kvs)) {
    const { value: key } = await kv.list({ prefix: ["dispatch"] }).next();
    if (key !== undefined) console.log("jobs are in the KV", name);
  }
}
await Promise.all(Object.values(databases).map((database) => database.close()));
for (const kv of Object.values(kvs)) kv.close();

// Prints:
// 11_forge.yaml | sent to ada@example.com | routes: /internal/jobs
// jobs are in the database jobs
// 11_forge_kv.yaml | sent to ada@example.com | routes: /api/dispatch
// jobs are in the database jobs
// jobs are in the KV local
