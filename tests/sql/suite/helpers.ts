import { fail } from "@std/assert";
import postgres from "postgres";

/** Polls until it is so, for at most ten seconds. */
export async function until(check: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const end = Date.now() + 10_000;
  while (!await check()) {
    if (Date.now() > end) fail(`Waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Clients of the database but for this one; autovacuum is not one, and comes when it likes. */
const OTHERS =
  "datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'";

/** Ends every connection to the database, as a restart of the server does. Returns how many. */
export async function kill(url: string): Promise<number> {
  const admin = postgres(url, { max: 1, fetch_types: false });
  try {
    const killed = await admin.unsafe(
      `select pg_terminate_backend(pid) from pg_stat_activity where ${OTHERS}`,
    );
    return killed.length;
  } finally {
    await admin.end();
  }
}

/** Counts the connections to the database. */
export async function connections(url: string): Promise<number> {
  const admin = postgres(url, { max: 1, fetch_types: false });
  try {
    const [{ n }] = await admin.unsafe(
      `select count(*)::int4 as n from pg_stat_activity where ${OTHERS}`,
    );
    return n;
  } finally {
    await admin.end();
  }
}

/** True while a connection to the database works on a statement that sleeps. */
export async function sleeps(url: string): Promise<boolean> {
  const admin = postgres(url, { max: 1, fetch_types: false });
  try {
    const rows = await admin.unsafe(`select from pg_stat_activity
      where ${OTHERS} and state = 'active' and wait_event = 'PgSleep'`);
    return rows.length > 0;
  } finally {
    await admin.end();
  }
}
