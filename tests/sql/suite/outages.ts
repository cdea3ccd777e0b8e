import { assert, assertEquals, assertRejects } from "@std/assert";
import { SqlError } from "../../../src/sql/sql_error.ts";
import type { Case } from "../suite.ts";
import { kill, sleeps, until } from "./helpers.ts";

export const outageCases: readonly Case[] = [
  {
    name: "goes on after its connections were killed",
    async run({ driver }, { url }) {
      const probe = () => driver.query("select $1::int4 as n", [1]);
      const probes = () => Promise.all(Array.from({ length: 20 }, probe));
      for (let round = 0; round < 3; round++) {
        await probes();
        await kill(url);
        await until(() => probes().then(() => true, () => false), "every statement is answered");
      }
    },
  },
  {
    name: "fails the statement that is under way when its connection is killed, for now",
    async run({ driver }, { url }) {
      const slow = driver.query("select pg_sleep($1::float8)::text as slept", [20]);
      const failed = assertRejects(() => slow, SqlError);
      await new Promise((resolve) => setTimeout(resolve, 100));
      await kill(url);
      const error = await failed;
      assertEquals([error.code, error.transient], ["store_unreachable", true]);
      await until(() => driver.query("select 1").then(() => true, () => false), "it is back");
    },
  },
  {
    name: "leaves nothing of a transaction whose connection was killed, whatever its callback does",
    async run({ driver }, { url, table }) {
      await driver.script(`create table ${table} (id int)`);
      const insert = `insert into ${table} values ($1)`;
      const failed = assertRejects(() =>
        driver.transaction(async (tx) => {
          await tx.query(insert, [1]);
          await kill(url);
          await new Promise((resolve) => setTimeout(resolve, 50));
          // Others reconnect meanwhile.
          const others = () => driver.query("select 1").then(() => true, () => false);
          if (!driver.single) await until(others, "it is back");
          await tx.query(insert, [2]).catch(() => {});
          await tx.query(insert, [3]).catch(() => {});
        }), SqlError);
      assertEquals((await failed).transient, true);
      await until(() => driver.query("select 1").then(() => true, () => false), "it is back");
      assertEquals(await driver.query(`select id from ${table}`), []);
    },
  },
  {
    name: "gives a statement up when its time is up, and goes on",
    options: { statementTimeoutMs: 300 },
    async run({ driver }) {
      const began = Date.now();
      const slow = () => driver.query("select pg_sleep($1::float8)::text as slept", [20]);
      const error = await assertRejects(slow, SqlError);
      assert(Date.now() - began < 3000, `it took ${Date.now() - began} ms`);
      assertEquals(error.transient, true);
      await until(() => driver.query("select 1").then(() => true, () => false), "it goes on");
    },
  },
  {
    name: "reads an answer that came while the process was busy until the time was up",
    options: { statementTimeoutMs: 1000 },
    async run({ driver }, { url }) {
      await driver.query("select 1"); // the connection stands
      const busyUntil = Date.now() + 1200;
      const query = "select 1 as n, pg_sleep($1::float8)::text as slept";
      let answered = false;
      const answer = driver.query<{ n: number }>(query, [0.6]).finally(() => answered = true);
      await until(async () => answered || await sleeps(url), "the statement is under way");
      while (Date.now() < busyUntil); // nothing is read, and no timer fires
      assertEquals((await answer)[0].n, 1);
    },
  },
  {
    name: "gives a transaction up when the time of a statement is up, and goes on",
    options: { statementTimeoutMs: 300 },
    async run({ driver }, { table }) {
      await driver.script(`create table ${table} (id int)`);
      const error = await assertRejects(() =>
        driver.transaction(async (tx) => {
          await tx.query(`insert into ${table} values ($1)`, [1]);
          await tx.query("select pg_sleep($1::float8)::text as slept", [20]);
        }), SqlError);
      assertEquals(error.transient, true);
      const read = () => driver.query(`select id from ${table}`);
      await until(() => read().then(() => true, () => false), "it goes on");
      assertEquals(await read(), []);
    },
  },
];
