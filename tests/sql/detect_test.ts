import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { PGlite } from "@electric-sql/pglite";
import * as denoPostgres from "@db/postgres";
// @ts-types="@types/pg"
import pg from "pg";
import postgres from "postgres";
import { DispatchError } from "../../src/core/errors.ts";
import { isSqlClient, toSqlDriver, toSqlTransaction } from "../../src/sql/detect.ts";
import { isPostgresUrl } from "../../src/sql/open.ts";
import { SqlError } from "../../src/sql/sql_error.ts";
import { createDatabase } from "../postgres.ts";

const NOWHERE = "postgres://nobody@127.0.0.1:1/nothing";

describe("toSqlDriver()", () => {
  it("tells each client by its shape, before it has connected", async () => {
    const sql = postgres(NOWHERE);
    const db = new PGlite();
    const clients: Record<string, [string, unknown]> = {
      "sql of postgres.js": ["postgres.js", sql],
      "Pool of pg": ["pg", new pg.Pool({ connectionString: NOWHERE })],
      "Client of pg": ["pg", new pg.Client({ connectionString: NOWHERE })],
      "Pool of @db/postgres": ["@db/postgres", new denoPostgres.Pool(NOWHERE, 2, true)],
      "Client of @db/postgres": ["@db/postgres", new denoPostgres.Client(NOWHERE)],
      "PGlite": ["pglite", db],
    };
    for (const [what, [name, client]] of Object.entries(clients)) {
      assert(isSqlClient(client), what);
      const driver = toSqlDriver(client);
      assertEquals(driver.name, name, what);
      await driver.close();
    }
    await db.close();
  });

  it("lists the clients that it knows where it is given another", () => {
    class Knex {}
    for (const [handle, found] of [[new Knex(), "a Knex"], [() => {}, "a function"], [7, "7"]]) {
      assertEquals(isSqlClient(handle), false);
      const error = assertThrows(() => toSqlDriver(handle), DispatchError);
      assertEquals(error.code, "unsupported_client");
      assertEquals(error.message, `Cannot use ${found} as a database client`);
      for (
        const name of ["npm:postgres", "npm:pg", "jsr:@db/postgres", "npm:@electric-sql/pglite"]
      ) {
        assert(error.hint.includes(name), error.hint);
      }
    }
  });
});

describe("toSqlTransaction()", () => {
  it("refuses a client where a transaction is asked for", async () => {
    const sql = postgres(NOWHERE);
    const pool = new pg.Pool({ connectionString: NOWHERE });
    const clients = [
      sql,
      pool,
      new denoPostgres.Pool(NOWHERE, 2, true),
      new denoPostgres.Client(NOWHERE),
    ];
    for (const client of clients) {
      assertEquals(
        assertThrows(() => toSqlTransaction(client), DispatchError).code,
        "unsupported_client",
      );
    }
    await sql.end();
    await pool.end();
  });

  it("refuses a pg.Client that has not begun one", async () => {
    await using database = await createDatabase();
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    await client.query("select 1");
    const error = assertThrows(() => toSqlTransaction(client), SqlError);
    assertEquals(error.sqlState, "25P01");
    await client.query("begin");
    assertEquals(await toSqlTransaction(client).query("select 1 as n"), [{ n: 1 }]);
    await client.end();
  });

  it("takes a connection that postgres.js has reserved", async () => {
    await using database = await createDatabase();
    const sql = postgres(database.url, { max: 1 });
    const reserved = await sql.reserve();
    await reserved`begin`;
    const tx = toSqlTransaction(reserved);
    await tx.script("create table gone (id int)");
    await reserved`rollback`;
    await assertRejects(() => tx.query("select * from gone"), SqlError);
    reserved.release();
    await sql.end();
  });
});

describe("isPostgresUrl()", () => {
  it("takes both spellings of the scheme, and no other", () => {
    const taken = ["postgres://h/d", "postgresql://h/d", "POSTGRES://h"].map(isPostgresUrl);
    assertEquals(taken, [true, true, true]);
    const refused = ["postgres:/h", "mysql://h", "./file", "", "xpostgres://h"].map(isPostgresUrl);
    assertEquals(refused, [false, false, false, false, false]);
  });
});
