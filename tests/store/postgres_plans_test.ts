/**
 * The plans of the statements that workers make, in a database with 300,000 ready, 1,000,000 future
 * and 1,000,000 finished jobs: what they read must not depend on any of it. The functions pin their
 * plans, so auto_explain shows the statements inside of them.
 */

import { assert, assertEquals, assertLess } from "@std/assert";
import { afterAll, beforeAll, describe, it } from "@std/testing/bdd";
import postgres from "postgres";
import { postgresStore } from "../../src/store/postgres/store.ts";
import { createDatabase, type TestDatabase } from "../postgres.ts";

const SEED = `
insert into dispatch.jobs (id, run_at, timeout_ms, created_at, updated_at, priority, max_retries,
  state, queue, name, payload)
  select gen_random_uuid(), 1000 + i, 0, 0, 0, i % 3, 3, 'w', 'default', 'unknown-' || i % 3, '{}'
  from generate_series(1, 299000) i
  union all
  select gen_random_uuid(), 1000 + i, 0, 0, 0, i % 2, 3, 'w', 'default', 'mail', '{}'
  from generate_series(1, 1000) i
  union all
  select gen_random_uuid(), 4e12::int8 + i, 0, 0, 0, 100, 3, 'f', 'default', 'mail', '{}'
  from generate_series(1, 1000000) i;
insert into dispatch.finished
  select gen_random_uuid(), 1, 0, 0, 0, 0, 0, i, 0, 1, 0, 3, 0, 'c', 'default', 'mail', '{}', 'w',
    null, null, null, null, 'null'
  from generate_series(1, 1000000) i;
insert into dispatch.tallies (queue, state, n) values ('default', 'p', 1300000), ('default', 'c', 1000000);
`;

const SETTLE_NOTHING = `select * from dispatch.settle(null,
  '{01900000-0000-7000-8000-000000000000}', '{1}', '{"null"}', null, null, 2)`;

interface Plan {
  readonly "Node Type": string;
  readonly "Index Name"?: string;
  readonly "Relation Name"?: string;
  readonly "Actual Rows"?: number;
  readonly "Actual Loops"?: number;
  readonly "Rows Removed by Filter"?: number;
  readonly Plans?: readonly Plan[];
}

describe("statements of workers, beside 2,300,000 other jobs", () => {
  let database: TestDatabase;
  let sql: ReturnType<typeof postgres>;
  let notices: string[] = [];

  beforeAll(async () => {
    database = await createDatabase();
    const store = postgresStore(database.url, { notify: false });
    await store.migrate();
    // Plans are made while the tables are empty, as in a new installation.
    await store.close();
    sql = postgres(database.url, {
      max: 1,
      fetch_types: false,
      onnotice: ({ message }) => notices.push(message ?? ""),
    });
    await sql.unsafe(`load 'auto_explain'; set auto_explain.log_min_duration = 0;
      set auto_explain.log_nested_statements = on; set auto_explain.log_analyze = on;
      set auto_explain.log_format = json; set auto_explain.log_level = notice`);
    await run(claim("mail"));
    await run(SETTLE_NOTHING);
    await sql.unsafe("set auto_explain.log_min_duration = -1");
    await sql.unsafe(SEED); // not analysed: statistics may be as stale as they come
    await sql.unsafe("set auto_explain.log_min_duration = 0");
  });

  afterAll(async () => {
    await sql?.end();
    await database?.[Symbol.asyncDispose]();
  });

  const claim = (names: string) =>
    `select id from dispatch.claim(null, 'w', '{default}', '{${names}}', 100, 30000, false, 2)`;
  /** Runs a statement and returns every node of every plan in it, outer ones last. */
  async function run(text: string): Promise<Plan[]> {
    notices = [];
    await sql.unsafe(text);
    return notices.flatMap((notice) => {
      const at = notice.indexOf("{");
      return at < 0 ? [] : nodes(JSON.parse(notice.slice(at)).Plan);
    });
  }

  function nodes(plan: Plan): Plan[] {
    return [plan, ...(plan.Plans ?? []).flatMap(nodes)];
  }

  /** No table but the small one of queues is read whole, and no node reads more than it must. */
  function assertLean(plans: readonly Plan[], rows: number): void {
    assert(plans.length > 0, "auto_explain said nothing");
    for (const plan of plans) {
      const what = JSON.stringify({ ...plan, Plans: undefined });
      const table = plan["Relation Name"];
      if (table !== "queues" && table !== "tallies") assert(plan["Node Type"] !== "Seq Scan", what);
      const loops = plan["Actual Loops"] ?? 1;
      assertLess((plan["Actual Rows"] ?? 0) * loops, rows + 1, what);
      assertLess((plan["Rows Removed by Filter"] ?? 0) * loops, rows + 1, what);
    }
  }

  it("a claim is one ordered probe: no sort, no sequential scan", async () => {
    const plans = await run(claim("mail"));
    assertLean(plans, 101); // the last row is no job
    const indexes = plans.flatMap((plan) => plan["Index Name"] ?? []);
    assert(indexes.includes("jobs_ready"), `it uses ${indexes}`);
    const sorts = plans.filter((plan) =>
      plan["Node Type"].includes("Sort") && (plan["Actual Rows"] ?? 0) > 1
    );
    assertEquals(sorts, []);
  });

  it("a claim of several names reads as many of each as it may take", async () => {
    assertLean(await run(claim("mail,sms,unknown-1")), 3 * 100);
  });

  it("a claim of names that have no jobs reads nothing", async () => {
    assertLean(await run(claim("nothing,else")), 2);
  });

  it("a settlement finds its jobs by their ids", async () => {
    const plans = await run(
      `select * from dispatch.settle(null, array(select id from dispatch.jobs where state = 'r'),
        array(select token from dispatch.jobs where state = 'r'),
        array(select 'null' from dispatch.jobs where state = 'r'), null, null, 2)`,
    );
    const deletes = plans.filter((plan) => plan["Index Name"] === "jobs_pkey");
    assert(deletes.length > 0, "it does not use the primary key");
    assertLean(plans, 500);
  });

  it("rescues and the next moment are found by index", async () => {
    assertLean(await run("select id from dispatch.rescue(null, 100, 3, '{}')"), 500);
    assertLean(await run("select dispatch.next_due(null, '{default}', '{mail,sms}', 2)"), 4);
  });

  it("lists read a page, and counts read no jobs", async () => {
    const store = postgresStore(database.url, { notify: false });
    const start = performance.now();
    for (const state of [undefined, "pending", "completed", "failed", "cancelled"] as const) {
      await store.jobs.list({ state, limit: 50, offset: 0 });
    }
    const counts = await store.jobs.counts();
    assert(counts.completed >= 1_000_000 && counts.pending >= 1_299_000, JSON.stringify(counts));
    await store.close();
    assertLess(performance.now() - start, 2000); // 20 ms; reading both tables takes seconds
  });
});
