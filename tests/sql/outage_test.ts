import { assert, assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DispatchError } from "../../src/core/errors.ts";
import type { Logger } from "../../src/core/logger.ts";
import type { SqlDriver } from "../../src/sql/driver.ts";
import { type OpenOptions, openPostgres } from "../../src/sql/open.ts";
import { SqlError } from "../../src/sql/sql_error.ts";
import { createDatabase } from "../postgres.ts";
import { type Proxy, startProxy } from "./proxy.ts";
import { connections, kill, until } from "./suite/helpers.ts";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Runs a test with a driver behind a proxy, and what it logs. */
async function behindProxy(
  options: OpenOptions,
  run: (driver: SqlDriver, proxy: Proxy, lines: string[]) => Promise<void>,
): Promise<void> {
  await using database = await createDatabase();
  await using proxy = startProxy(database.url);
  const lines: string[] = [];
  const log = (message: string) => void lines.push(message);
  const logger: Logger = { debug: log, info: log, warn: log, error: log };
  const driver = await openPostgres(proxy.url, { maxConnections: 5, logger, ...options });
  try {
    await run(driver, proxy, lines);
  } finally {
    await driver.close();
  }
}

/** Callers that ask again as soon as they are answered, like a busy engine. */
function callers(driver: SqlDriver, count: number): { errors: SqlError[]; stop(): Promise<void> } {
  const errors: SqlError[] = [];
  let stopped = false;
  const loops = Array.from({ length: count }, async () => {
    while (!stopped) {
      await driver.query("select $1::int4 as n", [1]).catch((error) => errors.push(error));
      await pause(1);
    }
  });
  return { errors, stop: () => ((stopped = true), Promise.all(loops).then(() => {})) };
}

describe("a postgres:// URL during an outage", () => {
  it("fails statements at a pace that spares the server, logs once, and comes back", () =>
    behindProxy({}, async (driver, proxy, lines) => {
      await driver.query("select 1");
      const busy = callers(driver, 50);
      await pause(50);
      assertEquals(busy.errors, []);
      await proxy.set("closing"); // like refusing, but it can count
      const before = proxy.attempts;
      await pause(4000);
      const attempts = proxy.attempts - before;
      assert(attempts >= 3 && attempts <= 20, `${attempts} connections were attempted`);
      assert(busy.errors.length > 0);
      for (const { code, transient } of busy.errors) {
        assertEquals([code, transient], ["store_unreachable", true]);
      }
      assertEquals(busy.errors.at(-1)?.uncertain, false);
      await proxy.set("fair");
      const back = Date.now();
      await until(() => driver.query("select 1").then(() => true, () => false), "it is back");
      assert(Date.now() - back < 3500, `it took ${Date.now() - back} ms`);
      await busy.stop();
      assertEquals(lines, ["database connection lost"]);
    }));

  it("comes back when nobody had listened", () =>
    behindProxy({}, async (driver, proxy) => {
      await driver.query("select 1");
      await proxy.set("refusing");
      await pause(20);
      const error = await assertRejects(() => driver.query("select 1"), SqlError);
      assertEquals([error.code, error.transient, error.uncertain], [
        "store_unreachable",
        true,
        false,
      ]);
      await proxy.set("fair");
      await until(() => driver.query("select 1").then(() => true, () => false), "it is back");
    }));

  it("gives a connection up that never comes, and one that never answers", () =>
    behindProxy({ connectTimeoutMs: 300, statementTimeoutMs: 300 }, async (driver, proxy) => {
      await driver.query("select 1");
      await proxy.set("silent");
      const mute = await assertRejects(() => driver.query("select 1"), SqlError);
      assertEquals([mute.transient, mute.uncertain], [true, true]);
      const never = await assertRejects(() => driver.query("select 1"), SqlError);
      assertEquals([never.transient, never.uncertain], [true, false]);
      await proxy.set("fair");
      await until(() => driver.query("select 1").then(() => true, () => false), "it is back");
    }));

  it("rejects a transaction that never ends, and refuses what it still wants", () =>
    behindProxy({ connectTimeoutMs: 300, statementTimeoutMs: 300 }, async (driver, proxy) => {
      await driver.query("select 1");
      const error = await assertRejects(() =>
        driver.transaction(async (tx) => {
          await tx.query("select 1");
          await proxy.set("silent");
          await tx.query("select 1").catch(() => {});
          await tx.query("select 1").catch(() => {});
        }), SqlError);
      assertEquals([error.transient, error.uncertain], [true, true]);
    }));

  it("leaves no error to nobody when connections are killed while they open", async () => {
    await using database = await createDatabase();
    let unhandled = 0;
    const count = (event: PromiseRejectionEvent) => (event.preventDefault(), unhandled++);
    addEventListener("unhandledrejection", count);
    for (let round = 0; round < 20; round++) {
      const driver = await openPostgres(database.url, { maxConnections: 5 });
      const answers = Array.from({ length: 20 }, () => driver.query("select 1"));
      await Promise.all([kill(database.url), Promise.allSettled(answers)]);
      await driver.close();
    }
    removeEventListener("unhandledrejection", count);
    assertEquals(unhandled, 0);
  });

  it("loses and doubles nothing while its connections are killed under load", async () => {
    await using database = await createDatabase();
    const driver = await openPostgres(database.url, { maxConnections: 4 });
    await driver.script("create table kept (id int)");
    const acknowledged = new Set<number>();
    const refused = new Set<number>();
    let slowest = 0;
    let stopped = false;
    let next = 0;
    const insert = "insert into kept values ($1)";
    const loops = Array.from({ length: 20 }, async (_, i) => {
      while (!stopped) {
        const id = next++;
        const began = Date.now();
        try {
          if (i % 4 === 0) {
            await driver.transaction(async (tx) => {
              await tx.query(insert, [id]);
              await tx.query("select 1").catch(() => {}); // goes on where its connection broke
            });
          } else await driver.query(insert, [id]);
          acknowledged.add(id);
        } catch (error) {
          assert(error instanceof SqlError && error.transient, String(error));
          if (!error.uncertain) refused.add(id);
        }
        slowest = Math.max(slowest, Date.now() - began);
      }
    });
    for (let i = 0; i < 25; i++) {
      await pause(60);
      assert(await kill(database.url) <= 4);
    }
    stopped = true;
    await Promise.all(loops);
    await until(() => driver.query("select 1").then(() => true, () => false), "it is back");
    const rows = await driver.query<{ id: number }>("select id from kept");
    const kept = new Set(rows.map(({ id }) => id));
    assertEquals(kept.size, rows.length);
    assertEquals([...acknowledged].filter((id) => !kept.has(id)), []);
    assertEquals([...refused].filter((id) => kept.has(id)), []);
    assert(acknowledged.size > 50, `only ${acknowledged.size} were acknowledged`);
    assert(slowest < 10_000, `a statement took ${slowest} ms`);
    await driver.close();
    await until(async () => await connections(database.url) === 0, "no connection is left");
  });
});

describe("a postgres:// URL", () => {
  it("opens no more connections than it may, and leaves none behind", async () => {
    await using database = await createDatabase();
    const stopped: Promise<void>[] = [];
    for (let round = 0; round < 10; round++) {
      const driver = await openPostgres(database.url, { maxConnections: 3 });
      await Promise.all(
        Array.from({ length: 60 }, () => driver.query("select pg_sleep(0.001)::text")),
      );
      const heard = Promise.withResolvers<void>();
      driver.listen!("channel", () => {}, heard.resolve);
      await heard.promise;
      const open = await connections(database.url);
      assert(open <= 4, `${open} connections are open`);
      stopped.push(driver.close());
      if (round % 2 === 0) await stopped[round];
      else await Promise.all(stopped);
    }
    await until(async () => await connections(database.url) === 0, "no connection is left");
  });

  it("tells the server who it is and how long a statement may take", async () => {
    await using database = await createDatabase();
    const text = `select current_setting('application_name') as name,
      current_setting('statement_timeout') as timeout, current_setting('search_path') as path`;
    const open = async (url: string, options: OpenOptions) => {
      const driver = await openPostgres(url, options);
      return await driver.query(text).finally(() => driver.close());
    };
    assertEquals(await open(database.url, { statementTimeoutMs: 7000 }), [
      { name: "dispatch", timeout: "7s", path: '"$user", public' },
    ]);
    assertEquals(await open(`${database.url}?search_path=app`, { applicationName: "worker" }), [
      { name: "worker", timeout: "30s", path: "app" },
    ]);
    assertEquals(await open(database.url, { session: false }), [
      { name: "dispatch", timeout: "0", path: '"$user", public' },
    ]);
  });

  it("says at once what no waiting will mend", async () => {
    await using database = await createDatabase();
    const driver = await openPostgres(`${database.url}_of_nobody`);
    const error = await assertRejects(() => driver.query("select 1"), SqlError);
    assertEquals([error.sqlState, error.transient, error.uncertain], ["3D000", false, false]);
    await driver.close();
  });

  it("refuses statements once it is closed, those that wait included", async () => {
    await using database = await createDatabase();
    const driver = await openPostgres(database.url, { maxConnections: 1 });
    await driver.query("select 1");
    const first = driver.query("select pg_sleep(0.1)::text");
    const waiting = assertRejects(() => driver.query("select 1"), SqlError);
    await pause(20);
    const closed = driver.close();
    assertEquals((await waiting).transient, false);
    assertEquals((await first).length, 1);
    await closed;
    await assertRejects(() => driver.query("select 1"), SqlError);
    await driver.close();
  });

  it("must be one, and keeps its password to itself", async () => {
    for (const url of ["mysql://root:secret@host/db", "postgres://:secret@", "secret", ""]) {
      const error = await assertRejects(() => openPostgres(url), DispatchError);
      assertEquals(error.code, "unsupported_client");
      assert(!`${error.message} ${error.hint}`.includes("secret"), error.message);
    }
  });
});
