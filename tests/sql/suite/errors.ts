import { assert, assertEquals, assertRejects } from "@std/assert";
import { SqlError } from "../../../src/sql/sql_error.ts";
import type { Case } from "../suite.ts";

/** Each with whether the same statement may succeed later. */
const STATES: Record<string, boolean> = {
  "40001": true, // serialization_failure
  "40P01": true, // deadlock_detected
  "55P03": true, // lock_not_available
  "53300": true, // too_many_connections
  "53100": true, // disk_full
  "57P01": true, // admin_shutdown
  "25006": true, // read_only_sql_transaction: the primary has become a standby
  "23505": false, // unique_violation
  "P0001": false, // raise_exception
};

export const errorCases: readonly Case[] = [
  {
    name: "tells the SQLSTATE of what the server refuses",
    async run({ driver }, { table }) {
      await driver.script(`create table ${table} (id int primary key)`);
      const refused: [string, string, (string | number)[]][] = [
        ["22012", "select 1 / ($1::int4 - 1) as n", [1]],
        ["23505", `insert into ${table} values ($1), ($1)`, [1]],
        ["42601", "selec $1::int4", [1]],
        ["42P01", "select * from no_such_table where id = $1", [1]],
        ["22P02", "select $1::text::int4 as n", ["x"]],
      ];
      for (const [sqlState, text, params] of refused) {
        const error = await assertRejects(() => driver.query(text, params), SqlError);
        assertEquals(error.sqlState, sqlState);
        assertEquals([error.code, error.transient, error.uncertain], ["internal", false, false]);
        assert(error.cause instanceof Error);
        assertEquals(await driver.query("select 1 as n"), [{ n: 1 }]);
      }
    },
  },
  {
    name: "tells what may succeed later from what will not",
    async run({ driver }) {
      for (const [state, transient] of Object.entries(STATES)) {
        const script = `do $$ begin raise exception 'x' using errcode = '${state}'; end $$`;
        const error = await assertRejects(() => driver.script(script), SqlError);
        assertEquals([error.sqlState, error.transient], [state, transient]);
      }
    },
  },
  {
    name: "runs a script of many statements as one",
    async run({ driver }, { table }) {
      await driver.script(`
        create table ${table} (id int); -- with a comment; and $1
        insert into ${table} values (1);
        insert into ${table} values (2);`);
      const failing =
        `insert into ${table} values (3); select 1 / 0; insert into ${table} values (4)`;
      const error = await assertRejects(() => driver.script(failing), SqlError);
      assertEquals(error.sqlState, "22012");
      assertEquals(await driver.query(`select id from ${table} order by id`), [
        { id: 1 },
        { id: 2 },
      ]);
    },
  },
];
