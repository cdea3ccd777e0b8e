/**
 * Brings a schema up to date. Each version runs once, in a transaction under a lock that all
 * processes of a schema share, so that any number of them may start at once; its checksum says
 * whether a database was made by this code or by something that only looks like it.
 */

import { sleep, systemClock } from "../../core/clock.ts";
import { DispatchError } from "../../core/errors.ts";
import { VERSION } from "../../core/version.ts";
import type { SqlDriver, SqlExecutor, SqlTransaction } from "../../sql/driver.ts";
import { SqlError } from "../../sql/sql_error.ts";
import { migration001 } from "./migrations/001.ts";
import { migration002 } from "./migrations/002.ts";

/** A step from one version of the schema to the next. */
export interface Migration {
  /** The version that it leads to. */
  readonly version: number;
  /** What it does, in a few words. */
  readonly title: string;
  /** Its statements, for a quoted schema. */
  readonly script: (schema: string) => string;
}

/** Every version, in order. A released one is never edited: what comes later is one more. */
export const MIGRATIONS: readonly Migration[] = [
  { version: 1, title: "jobs, history, dead letters, queues", script: migration001 },
  { version: 2, title: "runs of workflows, steps, events", script: migration002 },
];

/** Where a schema stands. */
export interface MigrationStatus {
  /** Version of the database; 0 where there is none. */
  readonly current: number;
  /** Version of this code. */
  readonly latest: number;
  /** When each version was applied, in epoch milliseconds. */
  readonly applied: readonly { readonly version: number; readonly appliedAt: number }[];
  /** What is missing. */
  readonly pending: readonly Migration[];
}

interface AppliedRow {
  readonly version: number;
  readonly checksum: string;
  readonly applied_at: number;
}

/**
 * Says where a schema stands.
 *
 * @throws {DispatchError} `schema_newer` where the database is ahead of this code, or was changed
 */
export async function status(
  executor: SqlExecutor,
  schema: string,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<MigrationStatus> {
  const checksums = Promise.all(migrations.map(checksumOf)); // while the database is asked
  const [{ there }] = await executor.query<{ there: boolean }>(
    "select to_regclass($1::text) is not null as there",
    [`"${schema}".migrations`],
  );
  const rows = there
    ? await executor.query<AppliedRow>(
      `select version, checksum, applied_at from "${schema}".migrations order by version`,
    )
    : [];
  const latest = migrations.length;
  const current = rows.at(-1)?.version ?? 0;
  if (current > latest) {
    throw new DispatchError(
      "schema_newer",
      `Cannot use the schema ${schema}: it has version ${current}, this code knows ${latest}`,
    );
  }
  for (const { version, checksum } of rows) {
    if (checksum === (await checksums)[version - 1]) continue;
    throw new DispatchError(
      "schema_newer",
      `Cannot use the schema ${schema}: its version ${version} was made by other code`,
      { hint: "Use the release that made it, or another schema." },
    );
  }
  return {
    current,
    latest,
    applied: rows.map((row) => ({ version: row.version, appliedAt: row.applied_at })),
    pending: migrations.slice(current),
  };
}

/** The statements that are missing, as text: what {@link apply} would run. */
export async function plan(
  executor: SqlExecutor,
  schema: string,
  to: number = MIGRATIONS.length,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<string[]> {
  const { pending } = await status(executor, schema, migrations);
  return pending.filter(({ version }) => version <= to).map(({ script }) => script(`"${schema}"`));
}

/** A lock that does not come in this time is given up: whoever came after it waits for it as well. */
const LOCK_MS = 2_000;
const MAX_TRIES = 30;

/**
 * Applies what is missing, up to a version, while workers of the version before may be at work: it
 * waits for their locks for a moment only, rolls back, and tries again. Returns the versions that it
 * applied.
 *
 * @throws {DispatchError} `schema_newer`
 */
export async function apply(
  driver: SqlDriver,
  schema: string,
  to: number = MIGRATIONS.length,
  migrations: readonly Migration[] = MIGRATIONS,
): Promise<number[]> {
  const { pending } = await status(driver, schema, migrations);
  if (pending.every(({ version }) => version > to)) return []; // the usual start takes no lock
  for (let tries = 1;; tries++) {
    try {
      return await driver.transaction((tx) => applyIn(tx, schema, to, migrations));
    } catch (error) {
      if (tries === MAX_TRIES || !isContended(error)) throw error;
      await sleep(systemClock, LOCK_MS * Math.random());
    }
  }
}

/** It may take longer than a statement of a worker: its own, or what it waits for. */
async function applyIn(
  tx: SqlTransaction,
  schema: string,
  to: number,
  migrations: readonly Migration[],
): Promise<number[]> {
  await tx.script(`
set local statement_timeout = 0;
select pg_advisory_xact_lock(hashtextextended('dispatch:${schema}', 0));
set local lock_timeout = ${LOCK_MS};
create schema if not exists "${schema}";
create table if not exists "${schema}".migrations (
  version int4 primary key,
  title text not null,
  checksum text not null,
  applied_at int8 not null default (extract(epoch from clock_timestamp()) * 1000)::int8
);`);
  const applied: number[] = [];
  for (const migration of (await status(tx, schema, migrations)).pending) {
    if (migration.version > to) break;
    await tx.script(migration.script(`"${schema}"`));
    await tx.query(
      `insert into "${schema}".migrations (version, title, checksum)
         values ($1::int4, $2::text, $3::text)`,
      [migration.version, migration.title, await checksumOf(migration)],
    );
    applied.push(migration.version);
  }
  return applied;
}

/** A lock that did not come, or a circle of two who waited for each other. */
function isContended(error: unknown): boolean {
  return error instanceof SqlError && (error.sqlState === "55P03" || error.sqlState === "40P01");
}

/**
 * Refuses a schema that lacks a version, for processes that may not migrate.
 *
 * @throws {DispatchError} `schema_outdated`, `schema_newer`
 */
export async function requireCurrent(executor: SqlExecutor, schema: string): Promise<void> {
  const { current, latest } = await status(executor, schema);
  if (current === latest) return;
  throw new DispatchError(
    "schema_outdated",
    `Cannot use the schema ${schema}: it has version ${current}, this code needs ${latest}`,
    { hint: howToMigrate(schema) },
  );
}

/** With the version of this code: a later one may know migrations that are too new for it. */
function howToMigrate(schema: string): string {
  const options = `--url postgres://…${schema === "dispatch" ? "" : ` --schema ${schema}`}`;
  return `Run \`deno run -A jsr:@dispatch/dispatch@${VERSION}/migrate ${options}\` (in a clone of ` +
    `Dispatch \`deno task migrate ${options}\`), or leave disableMigrate off.`;
}

/** Of the script with the same name of schema everywhere: what is checked is the code. */
async function checksumOf({ script }: Migration): Promise<string> {
  const bytes = new TextEncoder().encode(script('"dispatch"'));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
