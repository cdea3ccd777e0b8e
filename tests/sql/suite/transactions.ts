import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import type { SqlTransaction } from "../../../src/sql/driver.ts";
import { toSqlTransaction } from "../../../src/sql/detect.ts";
import { SqlError } from "../../../src/sql/sql_error.ts";
import type { Case } from "../suite.ts";

export const transactionCases: readonly Case[] = [
  {
    name: "commits what was done, and returns what was returned",
    async run({ driver }, { table }) {
      await driver.script(`create table ${table} (id int)`);
      const result = await driver.transaction(async (tx) => {
        await tx.query(`insert into ${table} values ($1)`, [1]);
        await tx.script(`insert into ${table} values (2); insert into ${table} values (3)`);
        return await tx.query(`select count(*) as n from ${table}`);
      });
      assertEquals(result, [{ n: 3 }]);
      assertEquals(await driver.query(`select count(*) as n from ${table}`), [{ n: 3 }]);
    },
  },
  {
    name: "rolls back when the callback throws, and passes on what it threw",
    async run({ driver }, { table }) {
      await driver.script(`create table ${table} (id int)`);
      const thrown = { not: "an Error" };
      const caught = await driver.transaction(async (tx) => {
        await tx.query(`insert into ${table} values ($1)`, [1]);
        throw thrown;
      }).catch((error) => error);
      assertStrictEquals(caught, thrown);
      assertEquals(await driver.query(`select id from ${table}`), []);
    },
  },
  {
    name: "rolls back when a statement fails",
    async run({ driver }, { table }) {
      await driver.script(`create table ${table} (id int)`);
      const error = await assertRejects(() =>
        driver.transaction(async (tx) => {
          await tx.query(`insert into ${table} values ($1)`, [1]);
          await tx.query("select 1 / ($1::int4 - 1) as n", [1]);
        }), SqlError);
      assertEquals(error.sqlState, "22012");
      assertEquals(await driver.query(`select id from ${table}`), []);
    },
  },
  {
    name: "does not pretend to commit after a statement that failed and was caught",
    async run({ driver }, { table }) {
      await driver.script(`create table ${table} (id int)`);
      await assertRejects(() =>
        driver.transaction(async (tx) => {
          await tx.query(`insert into ${table} values ($1)`, [1]);
          await tx.query("select 1 / ($1::int4 - 1) as n", [1]).catch(() => {});
        }), SqlError);
      assertEquals(await driver.query(`select id from ${table}`), []);
    },
  },
  {
    name: "fails when the commit is refused",
    async run({ driver }, { table }) {
      await driver.script(
        `create table ${table} (id int, unique (id) deferrable initially deferred)`,
      );
      const error = await assertRejects(() =>
        driver.transaction(async (tx) => {
          await tx.query(`insert into ${table} values ($1), ($1)`, [1]);
        }), SqlError);
      assertEquals(error.sqlState, "23505");
      assertEquals(await driver.query(`select id from ${table}`), []);
      assertEquals(await driver.transaction((tx) => tx.query("select 1 as n")), [{ n: 1 }]);
    },
  },
  {
    name: "refuses statements once it is over, on the client's own object as well",
    async run({ driver }, { table }) {
      await driver.script(`create table ${table} (id int)`);
      const kept: SqlTransaction[] = [];
      await driver.transaction((tx) => Promise.resolve(void kept.push(tx)));
      await driver.transaction((tx) => Promise.reject(new Error(`${kept.push(tx)}`))).catch(
        () => {},
      );
      for (const tx of kept) {
        const late = () => tx.query(`insert into ${table} values ($1)`, [1]);
        assertEquals((await assertRejects(late, SqlError)).sqlState, "25P01");
        await assertRejects(() => tx.script(`insert into ${table} values (2)`), SqlError);
        const own = async () =>
          await toSqlTransaction(tx.handle).query(`insert into ${table} values (3)`);
        assertEquals((await assertRejects(own, SqlError)).sqlState, "25P01");
      }
      assertEquals(await driver.query(`select id from ${table}`), []);
    },
  },
  {
    name: "runs statements within it in the order in which they were sent",
    async run({ driver }, { table }) {
      await driver.script(`create table ${table} (place serial, id int)`);
      await driver.transaction(async (tx) => {
        const sent = Array.from(
          { length: 20 },
          (_, i) => tx.query(`insert into ${table} (id) values ($1)`, [i]),
        );
        await Promise.all(sent);
      });
      const rows = await driver.query<{ id: number }>(`select id from ${table} order by place`);
      assertEquals(rows.map(({ id }) => id), Array.from({ length: 20 }, (_, i) => i));
    },
  },
  {
    name: "keeps statements beside it out of it",
    async run({ driver }, { table }) {
      await driver.script(`create table ${table} (id int)`);
      const begun = Promise.withResolvers<void>();
      const transaction = driver.transaction(async (tx) => {
        await tx.query(`insert into ${table} values ($1)`, [1]);
        begun.resolve();
        await new Promise((resolve) => setTimeout(resolve, 50));
        throw new Error("rolled back");
      }).catch(() => {});
      await begun.promise;
      await driver.query(`insert into ${table} values ($1)`, [2]);
      await transaction;
      assertEquals(await driver.query(`select id from ${table}`), [{ id: 2 }]);
    },
  },
  {
    name: "runs 30 at once",
    async run({ driver }, { table }) {
      await driver.script(`create table ${table} (id int)`);
      const results = await Promise.allSettled(
        Array.from({ length: 30 }, (_, i) =>
          driver.transaction(async (tx) => {
            await tx.query(`insert into ${table} values ($1)`, [i]);
            if (i % 3 === 0) throw new Error("rolled back");
            return i;
          })),
      );
      const kept = results.flatMap((result) => result.status === "fulfilled" ? result.value : []);
      const rows = await driver.query<{ id: number }>(`select id from ${table} order by id`);
      assertEquals(rows.map(({ id }) => id), kept);
      assertEquals(kept.length, 20);
    },
  },
];
