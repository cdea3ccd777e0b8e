import { PGlite } from "@electric-sql/pglite";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import pg from "pg";
import postgres from "postgres";
import { defineJob } from "../../src/engine/definition.ts";
import { createRegistry, type Handle } from "../../src/extension/registry.ts";
import { codeOf, errorOf } from "../harness.ts";
import { createDatabase } from "../postgres.ts";
import { connections } from "../sql/suite/helpers.ts";
import { directoryOf, make } from "./harness.ts";

const Double = defineJob({ name: "double", handler: (n: number) => 2 * n });

/** Runs one job on an extension whose only database is this one. */
async function runOn(handle: Handle): Promise<unknown> {
  const registry = createRegistry({ databases: { only: handle } });
  await using ext = make({ registry, groveDatabase: "", jobs: [Double] });
  await ext.start();
  assertEquals((await ext.health()).store, "postgres");
  const { id } = await ext.engine.enqueue(Double, 21);
  return await ext.engine.result(id, { timeout: "20s" });
}

describe("the store of DATABASE_URL", () => {
  /** What a program says that opens a store, with or without the variable and the right to read it. */
  async function say(flags: string[], env: Record<string, string>): Promise<string> {
    using directory = directoryOf({
      "program.ts": `
        import { postgresStore } from "@dispatch/dispatch/postgres";
        try {
          const store = postgresStore(undefined, { schema: "by_env" });
          await store.migrate();
          console.log((await store.jobs.counts()).completed);
          await store.close();
        } catch (error) {
          console.log(error.code, error.message, "|", error.hint);
        }`,
    });
    const map = `--import-map=${
      new URL("../../scripts/npm_imports.json", import.meta.url).pathname
    }`;
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--quiet", "--no-check", ...flags, map, "program.ts"],
      cwd: directory.path,
      env: { DATABASE_URL: "", ...env },
      stderr: "inherit",
    }).output();
    return new TextDecoder().decode(stdout).trim();
  }

  it("is that of postgresStore() without a client, and an error where it is not set", async () => {
    await using database = await createDatabase();
    assertEquals(await say(["-A"], { DATABASE_URL: database.url }), "0");
    const told =
      "unknown_database Cannot find a database: no client was passed, and DATABASE_URL " +
      "is not set | Pass a postgres:// URL or a client, or set DATABASE_URL; Deno reads it with " +
      "--allow-env=DATABASE_URL.";
    assertEquals(await say(["-A"], {}), told);
    assertEquals(await say([], { DATABASE_URL: database.url }), told);
  });
});

describe("a registered database", () => {
  it("may be a URL, which is opened and closed", async () => {
    await using database = await createDatabase();
    assertEquals(await runOn(database.url), 42);
    assertEquals(await connections(database.url), 0);
  });

  it("may be a client, which stays open", async () => {
    await using database = await createDatabase();
    const sql = postgres(database.url, { max: 3, onnotice() {} });
    assertEquals(await runOn(sql), 42);
    assertEquals([...await sql`select 1 as one`], [{ one: 1 }]);
    await sql.end();
    const pool = new pg.Pool({ connectionString: database.url, max: 3 });
    assertEquals(await runOn(pool), 42);
    assertEquals((await pool.query("select 1 as one")).rows, [{ one: 1 }]);
    await pool.end();
  });

  it("may be a function that returns one, which is closed", async () => {
    await using database = await createDatabase();
    let made: postgres.Sql | undefined;
    const open = () => Promise.resolve(made = postgres(database.url, { max: 3, onnotice() {} }));
    assertEquals(await runOn(open), 42);
    assertEquals(
      await made!`select 1`.then(() => "open", (error) => error.code),
      "CONNECTION_ENDED",
    );
    assertEquals(await runOn(() => database.url), 42);
  });

  it("may be embedded", async () => {
    const pglite = new PGlite();
    assertEquals(await runOn(pglite), 42);
    await pglite.close();
  });

  it("of an unknown kind is an error that lists the supported ones", async () => {
    const registry = createRegistry({ databases: { odd: { select() {} }, my: "mysql://x/y" } });
    const error = await errorOf(() => make({ registry, groveDatabase: "odd" }).start());
    assertEquals(error.code, "unsupported_client");
    assertStringIncludes(error.hint, "postgres.js");
    const url = make({ registry, groveDatabase: "my" });
    assertEquals(await codeOf(() => url.start()), "unsupported_client");
  });

  it("that its function cannot open is an error that names it", async () => {
    const registry = createRegistry({
      databases: { far: () => Promise.reject(new Error("no route")) },
    });
    const error = await errorOf(() => make({ registry, groveDatabase: "far" }).start());
    assertEquals(error.code, "store_unreachable");
    assertEquals(error.message, 'Cannot open database "far": no route');
  });

  it("without the schema is refused where migration is off, and taken once it is there", async () => {
    await using database = await createDatabase();
    const registry = createRegistry({ databases: { only: database.url } });
    const off = { registry, groveDatabase: "only", disableMigrate: true, jobs: [Double] };
    assertEquals(await codeOf(() => make(off).start()), "schema_outdated");
    assertEquals(await runOn(database.url), 42);
    await using ext = make(off);
    await ext.start();
    assertEquals((await ext.engine.jobs.counts()).completed, 1);
  });
});
