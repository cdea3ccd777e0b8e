import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import postgres from "postgres";
import { createExtension, defineJob, silentLogger } from "../../mod.ts";
import { postgresStore } from "../../src/store/postgres/store.ts";
import { createDatabase } from "../postgres.ts";

const guide = new URL("../../src/guides/security.md", import.meta.url);

const Odd = defineJob({
  name: "odd",
  maxRetries: 0,
  handler: (n: number) => {
    if (n % 2 === 0) throw new Error("even");
    return n;
  },
});

describe("the rights in Postgres that the guide to security grants", () => {
  it("are enough for an application that does not migrate", async () => {
    await using database = await createDatabase();
    const owner = postgres(database.url, { max: 1, onnotice() {} });
    const migrating = postgresStore(database.url);
    await migrating.migrate();
    await migrating.close();
    const role = `app_${database.name}`;
    const [, grants] = /```sql\n([^]*?)```/.exec(Deno.readTextFileSync(guide))!;
    await owner.unsafe(`create role ${role} login`);
    await owner.unsafe(grants.replaceAll(" to app;", ` to ${role};`));

    const url = new URL(database.url);
    url.username = role;
    const store = postgresStore(url.href);
    const dispatch = createExtension({
      store,
      jobs: [Odd],
      disableMigrate: true,
      queueLimits: { default: { concurrency: 5 } },
      logger: silentLogger,
      config: false,
    });
    await dispatch.start();
    const { engine } = dispatch;
    assertEquals(await engine.result((await engine.enqueue(Odd, 1)).id), 1);
    const failing = await engine.enqueue(Odd, 2);
    assertEquals(await engine.result(failing.id).catch((error) => error.code), "job_failed");
    assertEquals((await engine.dlq.replayAll()).replayed, 1);
    await engine.queues.pause("default");
    const { id } = await engine.enqueue(Odd, 3);
    await engine.jobs.cancel(id);
    await engine.jobs.remove(id);
    assertEquals((await store.jobs.prune({ completed: 0, failed: 0, cancelled: 0 }, 10)) > 0, true);
    await dispatch.stop();
    await store.close();

    await owner.unsafe(`drop owned by ${role}; drop role ${role}`);
    await owner.end();
  });
});
