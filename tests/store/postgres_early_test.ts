/** Jobs that begin before the claim that gave them is on the disk of Postgres. */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { createExtension, defineJob, defineWorkflow, type ExtensionOptions } from "../../mod.ts";
import { openPostgres } from "../../src/sql/open.ts";
import { postgresStore } from "../../src/store/postgres/store.ts";
import { RecordingLogger } from "../doubles.ts";
import { createDatabase } from "../postgres.ts";
import { pause, until } from "../scenarios/load.ts";

/** An engine whose claims are not committed as long as they are held. */
async function startHeld(options: ExtensionOptions) {
  const database = await createDatabase();
  const store = postgresStore(database.url);
  await store.migrate();
  const other = await openPostgres(database.url, { maxConnections: 1 });
  await other.script(`
    create function wait() returns trigger language plpgsql as $$
    begin
      if new.state = 'r' then
        perform pg_advisory_xact_lock(1);
      end if;
      return null;
    end $$;
    create constraint trigger wait after update on dispatch.jobs
      deferrable initially deferred for each row execute function wait()`);
  const logger = new RecordingLogger();
  const ext = createExtension({ store, config: false, disableRoutes: true, logger, ...options });
  await ext.start();
  return {
    engine: ext.engine,
    logger,
    job: async (id: string) => (await store.jobs.get([id]))[0],
    hold: () => other.query("select pg_advisory_lock(1)::text"),
    letGo: () => other.query("select pg_advisory_unlock(1)"),
    /** The process of the server that commits a claim, once there is one. */
    async committing(): Promise<number> {
      const waiting = "select pid from pg_locks where locktype = 'advisory' and not granted";
      let pids: number[] = [];
      await until("a claim is being committed", async () => {
        pids = (await other.query<{ pid: number }>(waiting)).map(({ pid }) => pid);
        return pids.length > 0;
      });
      return pids[0];
    },
    kill: (pid: number) => other.query("select pg_terminate_backend($1::int)", [pid]),
    async [Symbol.asyncDispose]() {
      await ext.stop();
      await store.close();
      await other.close();
      await database[Symbol.asyncDispose]();
    },
  };
}

describe("a job that begins before its claim is on disk", () => {
  it("lets go where the claim is lost, and is given to somebody else", async () => {
    const reasons: string[] = [];
    const Mail = defineJob({
      name: "mail",
      handler: async (_: null, { signal }) => {
        if (reasons.length > 0) return;
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        reasons.push(signal.reason.code);
        signal.throwIfAborted();
      },
    });
    await using t = await startHeld({ jobs: [Mail] });
    await t.hold();
    const { id } = await t.engine.enqueue(Mail, null);
    const pid = await t.committing();
    assertEquals((await t.job(id))?.state, "pending"); // as others still see it
    await t.kill(pid);
    await until("the handler was told", () => reasons.length > 0);
    await t.letGo();
    await until("it is done", async () => (await t.job(id))?.state === "completed");
    assertEquals([reasons, (await t.job(id))?.attempt], [["lease_lost"], 1]);
  });

  it("writes under its lease all the same, whatever it writes, and is not run twice for it", async () => {
    const began: string[] = [];
    const Mail = defineJob({
      name: "mail",
      handler: async (how: "reports" | "completes", job) => {
        began.push(how);
        if (how === "reports") await job.progress(1);
        else await job.transaction(() => Promise.resolve());
      },
    });
    const Order = defineWorkflow({
      name: "order",
      handler: async (how: "saves" | "waits", step) => {
        if (how === "saves" || began.at(-1) !== how) began.push(how); // a wait is replayed
        if (how === "saves") await step.run("pay", () => "paid");
        else await step.waitForEvent("paid", { timeout: "1h" });
      },
    });
    await using t = await startHeld({ jobs: [Mail], workflows: [Order] });
    const starts = [
      () => t.engine.enqueue(Mail, "reports"),
      () => t.engine.enqueue(Mail, "completes"),
      () => t.engine.startWorkflow(Order, "saves"),
      () => t.engine.startWorkflow(Order, "waits"),
    ];
    for (const start of starts) {
      await t.hold();
      const { id } = await start();
      await t.committing();
      await pause(50); // by now it has asked for what it wants
      await t.letGo();
      if (start === starts.at(-1)) await t.engine.publishEvent("paid", null);
      await t.engine.result(id, { timeout: "20s" });
    }
    assertEquals(began, ["reports", "completes", "saves", "waits"]);
    assertEquals(t.logger.lines.map(({ message }) => message), ["started"]);
  });
});
