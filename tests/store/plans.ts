/** A database with millions of jobs and steps, in which the plans of the store's statements are watched. */

import { assert, assertLess } from "@std/assert";
import postgres from "postgres";
import { postgresStore } from "../../src/store/postgres/store.ts";
import type { Store } from "../../src/store/store.ts";
import { createDatabase, type TestDatabase } from "../postgres.ts";

/** Of the shape and in the order that new jobs have, each `part` behind the one before. */
const id = (part: number, i = "i") =>
  `('0190000${part}-0000-7000-8000-' || lpad(to_hex(${i}), 12, '0'))::uuid`;

/** Jobs that wait, that are not due, that are finished; and what runs have beside their jobs. */
const SEED = `
insert into dispatch.jobs (id, run_at, timeout_ms, created_at, updated_at, priority, max_retries,
  state, queue, name, payload)
  select ${id(1)}, 1000 + i, 0, 0, 0, i % 3, 3, 'w', 'default', 'unknown-' || i % 3, '{}'
  from generate_series(1, 298000) i
  union all
  select ${id(2)}, 1000 + i, 0, 0, 0, i % 2, 3, 'w', 'default', 'mail', '{}'
  from generate_series(1, 1000) i
  union all
  select ${id(3)}, 1000 + i, 0, 0, 0, i % 2, 3, 'w', 'q' || i % 10, 'sms', '{}'
  from generate_series(1, 1000) i
  union all
  select ${id(4)}, 4e12::int8 + i, 0, 0, 0, 100, 3, 'f', 'default', 'mail', '{}'
  from generate_series(1, 1000000) i
  union all
  select ${id(6)}, i, 0, 0, 0, 0, 0, case when i % 2 = 0 then 'w' else 'f' end, 'q' || i % 4,
    'workflow/order@' || i % 3, '{}' from generate_series(1, 60) i;
insert into dispatch.finished
  select ${id(5)}, 1, 0, 0, 0, 0, 0, i, 0, 1, 0, 3, 0, 'c', 'default', 'mail', '{}', 'w',
    null, null, null, null, 'null'
  from generate_series(1, 1000000) i;
insert into dispatch.completions (completed_at, ids)
  select i, array(select ${id(5, "k")} from generate_series(i - 99, i) k)
  from generate_series(100, 1000000, 100) i;
insert into dispatch.tallies (queue, state, n) values ('default', 'p', 1300000), ('default', 'c', 1000000);
insert into dispatch.tallies (queue, state, n) select 'q' || i, 'p', 115 from generate_series(0, 3) i;
insert into dispatch.flows (id, parent, parent_position, since)
  select ${id(7)}, ${id(7, "i / 10")}, 0, 0 from generate_series(1, 50000) i;
insert into dispatch.steps (run, started_at, until, position, seq, attempt, state, kind, name, result)
  select ${id(7, "i / 4")}, 0, 4e12::int8, i % 4, nullif(i % 4, 3), 1,
    case i % 4 when 3 then 'o' else 'c' end, 'run', 'step', 'null'
  from generate_series(4, 200003) i;
insert into dispatch.waits (run, position, name, key)
  select ${id(7)}, 3, 'other', i::text from generate_series(1, 50000) i;
insert into dispatch.events (id, run, created_at, name, key, payload)
  select ${id(8)}, case when i % 2 = 0 then ${id(7)} end, i, 'other', i::text, '{}'
  from generate_series(1, 50000) i;
`;

/** Tables that are small whatever happens: settings, and counts that are folded together. */
const SMALL = ["queues", "tallies"];

/** A node of a plan, as EXPLAIN tells it. */
export interface Plan {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Actual Rows"?: number;
  readonly "Actual Loops"?: number;
  readonly "Rows Removed by Filter"?: number;
  readonly "Shared Hit Blocks"?: number;
  readonly "Shared Read Blocks"?: number;
  readonly Plans?: readonly Plan[];
}

/** A store whose plans are watched. */
export interface Rig extends AsyncDisposable {
  readonly store: Store;
  /** What a call returns, and every node of every plan in it. */
  watch<T>(call: () => Promise<T>): Promise<{ result: T; plans: Plan[] }>;
}

/**
 * Opens a store whose plans are made before the tables are filled.
 *
 * @param prepare has the planner know what it is to know
 * @param everything runs each kind of statement once
 */
export async function openRig(
  prepare: string,
  everything: (store: Store) => Promise<void>,
): Promise<Rig> {
  const database: TestDatabase = await createDatabase();
  let notices: string[] = [];
  const onnotice = ({ message }: { message?: string }) => notices.push(message ?? "");
  const sql = postgres(database.url, { max: 1, fetch_types: false, onnotice });
  const store = postgresStore(sql, { notify: false });
  await store.migrate();
  for (const table of ["jobs", "finished"]) { // half the time to fill them
    await sql.unsafe(`alter table dispatch.${table} set unlogged`);
    await sql.unsafe(`alter table dispatch.${table} set (autovacuum_enabled = false)`);
  }
  await sql.unsafe(prepare);
  await sql.unsafe(`load 'auto_explain'; set auto_explain.log_min_duration = -1;
    set auto_explain.log_nested_statements = on; set auto_explain.log_analyze = on;
    set auto_explain.log_buffers = on; set auto_explain.log_format = json;
    set auto_explain.log_level = notice`);
  await everything(store); // plans are made while the tables are empty, as in a new installation
  await sql.unsafe(SEED); // not analysed: statistics may be as stale as they come

  const explain = (on: boolean) => sql.unsafe(`set auto_explain.log_min_duration = ${on ? 0 : -1}`);
  return {
    store,
    async watch(call) {
      await explain(true);
      notices = [];
      const result = await call();
      const plans = notices.flatMap((notice) => {
        const at = notice.indexOf("{");
        return at < 0 ? [] : nodes(JSON.parse(notice.slice(at)).Plan);
      });
      await explain(false);
      return { result, plans };
    },
    async [Symbol.asyncDispose]() {
      await store.close();
      await sql.end();
      await database[Symbol.asyncDispose]();
    },
  };
}

function nodes(plan: Plan): Plan[] {
  return [plan, ...(plan.Plans ?? []).flatMap(nodes)];
}

/**
 * No table but a small one is read whole, no node reads or drops more than so many rows, none sorts
 * more than `sorted`, and no statement touches more than 40 pages for each row.
 */
export function assertLean(plans: readonly Plan[], rows: number, sorted: number): void {
  assert(plans.length > 0, "auto_explain said nothing");
  for (const plan of plans) {
    const what = JSON.stringify({ ...plan, Plans: undefined });
    const type = plan["Node Type"];
    if (type === "Seq Scan") assert(SMALL.includes(plan["Relation Name"]!), what);
    const loops = plan["Actual Loops"] ?? 1;
    const read = (plan["Actual Rows"] ?? 0) * loops;
    assertLess(read, rows + 1, what);
    assertLess((plan["Rows Removed by Filter"] ?? 0) * loops, rows + 1, what);
    if (type.includes("Sort")) assertLess(read, sorted + 1, what);
    const pages = (plan["Shared Hit Blocks"] ?? 0) + (plan["Shared Read Blocks"] ?? 0);
    assertLess(pages, 40 * rows + 200, what);
  }
}
