import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { DispatchError } from "../../../src/core/errors.ts";
import { toSqlTransaction } from "../../../src/sql/detect.ts";
import { SqlError } from "../../../src/sql/sql_error.ts";
import type { Case } from "../suite.ts";

export const callerCases: readonly Case[] = [
  {
    name: "is joined: what it commits is there, what it rolls back is not",
    async run({ driver, inTransaction }, { table }) {
      await driver.script(`create table ${table} (id int)`);
      await inTransaction(async (handle) => {
        const tx = toSqlTransaction(handle);
        const rows = await tx.query(`insert into ${table} values ($1) returning id::int8`, [1]);
        assertEquals(rows, [{ id: 1 }]);
        assertEquals(tx.handle, handle);
      });
      assertEquals(await driver.query(`select id from ${table}`), [{ id: 1 }]);
      await inTransaction(async (handle) => {
        await toSqlTransaction(handle).query(`insert into ${table} values ($1)`, [2]);
        throw new Error("rolled back");
      }).catch(() => {});
      assertEquals(await driver.query(`select id from ${table}`), [{ id: 1 }]);
    },
  },
  {
    name: "fails with the same errors",
    async run({ inTransaction }) {
      const error = await assertRejects(() =>
        inTransaction(async (handle) => {
          await toSqlTransaction(handle).query("select 1 / ($1::int4 - 1) as n", [1]);
        }), SqlError);
      assertEquals(error.sqlState, "22012");
    },
  },
  {
    name: "may be the one that the driver has handed out",
    async run({ driver }, { table }) {
      await driver.script(`create table ${table} (id int)`);
      await driver.transaction(async ({ handle }) => {
        await toSqlTransaction(handle).query(`insert into ${table} values ($1)`, [1]);
      });
      assertEquals(await driver.query(`select id from ${table}`), [{ id: 1 }]);
      await driver.transaction(async ({ handle }) => {
        await toSqlTransaction(handle).query(`insert into ${table} values ($1)`, [2]);
        throw new Error("rolled back");
      }).catch(() => {});
      assertEquals(await driver.query(`select id from ${table}`), [{ id: 1 }]);
    },
  },
  {
    name: "is told from what is none",
    run() {
      for (const handle of [undefined, null, "tx", 1, {}, [], () => {}, new Date()]) {
        const error = assertThrows(() => toSqlTransaction(handle), DispatchError);
        assertEquals(error.code, "unsupported_client");
      }
      return Promise.resolve();
    },
  },
];
