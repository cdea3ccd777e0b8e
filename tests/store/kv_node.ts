/**
 * Run by Node, bundled: `kv_node.ts <path> <what>`. Uses the same KV file as the test beside this, with
 * `@deno/kv`, and prints what it finds.
 */

import process from "node:process";
import { createExtension, defineJob, kvStore, silentLogger } from "../../mod.ts";

const [path, what] = process.argv.slice(2);
const store = kvStore(path);
const Double = defineJob({ name: "double", handler: (n: number) => 2 * n });
const ext = createExtension({ store, jobs: [Double], config: false, logger: silentLogger });
await ext.start();
if (what === "work") {
  for (;;) {
    const { pending, running } = await ext.engine.jobs.counts();
    if (pending + running === 0) break;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
if (what === "write") {
  const large = "é".repeat(100_000);
  await ext.engine.enqueue("later", { large }, { delay: "1d", uniqueKey: "Grüße", tags: ["🏷️"] });
  await ext.engine.enqueueMany(
    Array.from({ length: 1200 }, (_, n) => ({ job: "elsewhere", input: n })),
  );
}
const { items } = await store.jobs.list({ limit: 5000, offset: 0 });
console.log(
  JSON.stringify({ runtime: process.release.name, items, counts: await store.jobs.counts() }),
);
await ext.stop();
await store.close();
