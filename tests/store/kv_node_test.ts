/** The same file under Deno and, with the npm package `@deno/kv`, under Node. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { createExtension, defineJob, silentLogger } from "../../mod.ts";
import type { JobRecord } from "../../src/core/job.ts";
import { kvStore } from "../../src/store/kv/store.ts";
import { newJob } from "../../src/testing/suite/context.ts";
import { CLAIM, tempFolder } from "../kv.ts";

const ROOT = new URL("../../", import.meta.url);
/** Where Node finds `node_modules`. */
const BUNDLE = new URL(".dispatch/test_kv_node.mjs", ROOT);

interface Found {
  readonly runtime: string;
  readonly items: JobRecord[];
  readonly counts: Record<string, number>;
}

async function run(program: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args, cwd: ROOT }).output();
  const text = new TextDecoder();
  assert(success, `${program} ${args.join(" ")}: ${text.decode(stderr)}`);
  return text.decode(stdout);
}

/** Node cannot read our TypeScript: it is given a bundle. */
const bundled = (async () => {
  await Deno.mkdir(new URL(".", BUNDLE), { recursive: true });
  await run(Deno.execPath(), [
    ...["bundle", "--quiet", "--import-map=scripts/npm_imports.json", "--external=@deno/kv"],
    ...["-o", BUNDLE.pathname, "tests/store/kv_node.ts"],
  ]);
})();

async function node(path: string, what: string): Promise<Found> {
  await bundled;
  const found = JSON.parse(await run("node", [BUNDLE.pathname, path, what])) as Found;
  assertEquals(found.runtime, "node");
  return found;
}

describe("one KV file under Deno and Node", () => {
  it("what Deno has written is read and worked on by Node", async () => {
    await using folder = await tempFolder();
    const path = `${folder.path}/jobs.kv`;
    const store = kvStore(path);
    await store.migrate();
    const large = JSON.stringify("ü".repeat(150_000));
    const jobs = [
      newJob({
        name: "elsewhere",
        payload: large,
        uniqueKey: "k",
        tags: ["a", "🏷️"],
        priority: -3,
      }),
      newJob({ name: "elsewhere", delayMs: 86_400_000, scope: { appId: "x" } }),
    ];
    const records = await store.jobs.enqueue(jobs);
    await store.close();
    assertEquals((await node(path, "read")).items, [...records].reverse());

    const again = kvStore(path);
    await again.jobs.cancel(jobs[0].id);
    await again.jobs.cancel(jobs[1].id);
    await again.jobs.enqueue(
      Array.from({ length: 300 }, (_, n) => newJob({ name: "double", payload: String(n) })),
    );
    await again.close();
    const { counts } = await node(path, "work");
    assertEquals([counts.completed, counts.cancelled, counts.pending], [300, 2, 0]);

    const reader = kvStore(path);
    const { items } = await reader.jobs.list({ state: "completed", limit: 1000, offset: 0 });
    assertEquals(
      items.map(({ payload, result }) => Number(result) / 2 - Number(payload)),
      Array(300).fill(0),
    );
    await reader.close();
  });

  it("what Node has written is read and worked on by Deno", async () => {
    await using folder = await tempFolder();
    const path = `${folder.path}/jobs.kv`;
    const written = await node(path, "write");
    const store = kvStore(path);
    assertEquals((await store.jobs.list({ limit: 5000, offset: 0 })).items, written.items);
    assertEquals(await store.jobs.counts() as unknown, written.counts);
    const [held] = await store.jobs.enqueue([newJob({ name: "later", uniqueKey: "Grüße" })]);
    assertEquals(held.id, written.items.find(({ name }) => name === "later")!.id);
    const elsewhere = defineJob({ name: "elsewhere", handler: (n: number) => n });
    const ext = createExtension({ store, jobs: [elsewhere], config: false, logger: silentLogger });
    await ext.start();
    while ((await ext.engine.jobs.counts()).completed < 1200) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await ext.stop();
    assertEquals(await store.jobs.claim({ ...CLAIM, names: ["elsewhere"] }), []);
    await store.close();
  });
});
