/**
 * Migrates the database of DATABASE_URL to a version that does not end by itself: a process for
 * tests to kill.
 */
import { openPostgres } from "../../src/sql/open.ts";
import { apply, MIGRATIONS } from "../../src/store/postgres/migrations.ts";

const version = MIGRATIONS.length + 1;
const script = (s: string) => `create table ${s}.half (id int4); select pg_sleep(3);`;

const driver = await openPostgres(Deno.env.get("DATABASE_URL")!);
await apply(driver, "dispatch", version, [...MIGRATIONS, { version, title: "slow", script }]);
