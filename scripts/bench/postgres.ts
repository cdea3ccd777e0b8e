/**
 * `deno task bench:postgres`: Dispatch with its default options beside the raw statements,
 * graphile-worker and pg-boss, on a PostgreSQL 18 of its own with default durability. The figures are
 * those of this machine at this moment: compare them only with others of the same run. Each round
 * takes every system once, each time in a fresh database and with fresh processes; medians of the
 * rounds, the range behind them.
 *
 * Arguments: jobs (20000), rounds (3), a pattern of the figures to measure only those.
 */

import postgres from "postgres";
import { createDatabase } from "../../tests/postgres.ts";
import { median, perSecond, printTable, range, type Row } from "./figures.ts";
import {
  Child,
  dispatch,
  graphileDefault,
  graphileTuned,
  pgBoss,
  type System,
} from "./postgres/child.ts";
import { bulk, coalesced, minimal, same, single, withRaw } from "./postgres/raw.ts";

const JOBS = Number(Deno.args[0] ?? 20_000);
const ROUNDS = Number(Deno.args[1] ?? 3);
const ONLY = Deno.args[2] ?? "";

/** Peaks of the processes of Dispatch, in megabytes. */
const memory: number[] = [];

interface Bench {
  readonly url: string;
  readonly sql: ReturnType<typeof postgres>;
  readonly children: Child[];
  start(system: System): Promise<Child>;
}

/** Runs `work` on a database of its own, and ends every process that it started. */
async function fresh<T>(work: (bench: Bench) => Promise<T>): Promise<T> {
  await using database = await createDatabase();
  const sql = postgres(database.url, { max: 1, fetch_types: false, onnotice: () => {} });
  const children: Child[] = [];
  const own: Child[] = [];
  try {
    const result = await work({
      url: database.url,
      sql,
      children,
      async start(system) {
        const child = await Child.start(system, database.url);
        children.push(child);
        if (system === dispatch) own.push(child);
        return child;
      },
    });
    for (const child of own) memory.push(await child.do<number>("memory"));
    return result;
  } finally {
    for (const child of children) await child.stop();
    await sql.end();
  }
}

async function untilEmpty({ sql }: Bench, system: System): Promise<void> {
  while ((await sql.unsafe(system.unfinished)).length > 0) await pause(10);
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** From "go" to processes that stand ready until the database has nothing unfinished. */
const drain = (system: System, processes: number) => () =>
  fresh(async (bench) => {
    const producer = await bench.start(system);
    await producer.do("setup");
    await producer.do("many", { n: JOBS });
    const workers = [];
    for (let i = 0; i < processes; i++) workers.push(await bench.start(system));
    for (const worker of workers) await worker.do("memory"); // it is up
    const start = performance.now();
    await Promise.all(workers.map((worker) => worker.do("work")));
    await untilEmpty(bench, system);
    return perSecond(JOBS, performance.now() - start);
  });

const enqueue = (system: System, order: string, jobs: number, isOld = false) => () =>
  fresh(async (bench) => {
    const producer = await bench.start(system);
    await producer.do("setup");
    if (isOld) await age(bench, "other");
    await producer.do(order, { n: order === "many" ? 10_000 : jobs / 4 }); // compiled, connected, planned
    return perSecond(jobs, await producer.do<number>(order, { n: jobs }));
  });

/** Milliseconds from enqueue to handler, in another process. */
const latency = (system: System, share: number, isOld = false) => () =>
  fresh(async (bench) => {
    const [producer, worker] = [await bench.start(system), await bench.start(system)];
    await producer.do("setup");
    if (isOld) await age(bench, "other");
    await worker.do("work");
    await producer.do("send", { n: 30, gap: 10 });
    await pause(200);
    await worker.do("latencies");
    await producer.do("send", { n: 300, gap: 10 });
    await pause(500);
    const all = (await worker.do<number[]>("latencies")).sort((a, b) => a - b);
    return all[Math.min(all.length - 1, Math.floor(all.length * share))];
  });

/** Milliseconds from enqueue to handler at 5,000 jobs a second, for a minute: p99, or how it grew. */
const steady = (figure: (latencies: number[]) => number) => () =>
  fresh(async (bench) => {
    const [producer, worker] = [await bench.start(dispatch), await bench.start(dispatch)];
    await producer.do("setup");
    await worker.do("work");
    await producer.do("steady", { n: 3, rate: 5000 });
    await worker.do("latencies");
    await producer.do("steady", { n: 60, rate: 5000 });
    await untilEmpty(bench, dispatch);
    return figure(await worker.do<number[]>("latencies"));
  });

function p99(latencies: number[]): number {
  const sorted = latencies.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)];
}

/** The last quarter against the first. */
function growth(latencies: number[]): number {
  const quarter = latencies.length >> 2;
  return p99(latencies.slice(-quarter)) / p99(latencies.slice(0, quarter));
}

/** Transactions a second that an idle worker makes; each statement of a store is one. */
const idle = (system: System, workers: number) => () =>
  fresh(async (bench) => {
    for (let i = 0; i < workers; i++) {
      const worker = await bench.start(system);
      if (i === 0) await worker.do("setup");
      await worker.do("work");
    }
    const count = async () => {
      await bench.sql.unsafe("select pg_stat_clear_snapshot()");
      const [{ n }] = await bench.sql.unsafe(
        `select sum(xact_commit + xact_rollback)::float8 as n from pg_stat_database where datname = current_database()`,
      );
      return Number(n);
    };
    await pause(15_000);
    const before = await count();
    await pause(30_000);
    return (await count() - before - 2) / 30;
  });

/** A million finished jobs, and 300,000 of one name that wait behind all others; ids as of the engine. */
async function age({ sql }: Bench, name: string): Promise<void> {
  await sql.unsafe(`insert into dispatch.finished
    select uuidv7(), 1, t, 0, t, t, t, t, 0, 1, 0, 3, 0, 'c', 'default', 'noop', '{"n":1}', 'w',
      null, null, null, null, 'null'
    from generate_series(1, 1000000) i, (select 1.7e12::int8 as t) t`);
  await sql.unsafe(
    `insert into dispatch.jobs (id, run_at, timeout_ms, created_at, updated_at,
    priority, max_retries, state, queue, name, payload)
    select uuidv7(), t, 0, t, t, -1, 3, 'w', 'default', '${name}', '{"n":1}'
    from generate_series(1, 300000) i, (select 1.7e12::int8 as t) t`,
  );
  await sql.unsafe("vacuum analyze dispatch.finished, dispatch.jobs");
  await sql.unsafe("checkpoint");
}

const drainWithHistory = () =>
  fresh(async (bench) => {
    const producer = await bench.start(dispatch);
    await producer.do("setup");
    await producer.do("many", { n: JOBS });
    await age(bench, "noop");
    const worker = await bench.start(dispatch);
    await worker.do("memory");
    const start = performance.now();
    await worker.do("work");
    const open = "select 1 from dispatch.jobs where state = 'w' and priority = 0 limit 1";
    while ((await bench.sql.unsafe(open)).length > 0) await pause(10);
    return perSecond(JOBS, performance.now() - start);
  });

/** 1 ms of waiting per job, 100 at once: 1 is what the sleeps alone allow. */
const sleeping = () =>
  fresh(async (bench) => {
    const producer = await bench.start(dispatch);
    await producer.do("setup");
    await producer.do("many", { n: JOBS, job: "sleep" });
    const worker = await bench.start(dispatch);
    await worker.do("memory");
    const start = performance.now();
    await worker.do("work", { concurrency: 100 });
    await untilEmpty(bench, dispatch);
    return perSecond(JOBS, performance.now() - start);
  });

/** 100 loops of sleeps in this process. */
const sleepsAlone = async () => {
  const start = performance.now();
  await Promise.all(Array.from({ length: 100 }, async () => {
    for (let i = 0; i < JOBS / 100; i++) await pause(1);
  }));
  return perSecond(JOBS, performance.now() - start);
};

const raw =
  (run: (sql: ReturnType<typeof postgres>, n: number) => Promise<number>, n: number) => () =>
    fresh(({ url }) => withRaw(url, (sql) => run(sql, n)));

const rawSame = () =>
  fresh(async (bench) => {
    const producer = await bench.start(dispatch);
    await producer.do("setup");
    await producer.do("many", { n: JOBS });
    return await withRaw(bench.url, (sql) => same(sql, JOBS));
  });

const OLD = "Dispatch, beside 1,000,000 finished and 300,000 pending";

/** Figures in the order of the table: group, system, how. */
const cases: [string, string, () => Promise<number>][] = [
  ["drain, 1 process, jobs/s", "raw, claim 500 + UPDATE", raw(minimal, JOBS)],
  ["drain, 1 process, jobs/s", "raw, the store's statements", rawSame],
  ...[dispatch, graphileTuned, pgBoss].map((system) =>
    ["drain, 1 process, jobs/s", system.name, drain(system, 1)] as const
  ),
  ["drain, 1 process, jobs/s", graphileDefault.name, drain(graphileDefault, 1)],
  ["drain, 1 process, jobs/s", OLD, drainWithHistory],
  ...[dispatch, graphileTuned].map((system) =>
    ["drain, 2 processes, jobs/s", system.name, drain(system, 2)] as const
  ),
  ["enqueue, 1 caller, jobs/s", "raw INSERT", raw(single, 2000)],
  ["enqueue, 50 callers, jobs/s", "raw coalesced INSERT", raw(coalesced, JOBS)],
  ["enqueueMany by 1,000, jobs/s", "raw unnest INSERT", raw(bulk, JOBS)],
  ...[dispatch, graphileTuned, pgBoss].flatMap((system) =>
    [
      ["enqueue, 1 caller, jobs/s", system.name, enqueue(system, "one", 2000)],
      [
        "enqueue, 50 callers, jobs/s",
        system.name,
        enqueue(system, "fifty", system === dispatch ? JOBS : 5000),
      ],
      ["enqueueMany by 1,000, jobs/s", system.name, enqueue(system, "many", JOBS)],
    ] as const
  ),
  ...[dispatch, graphileTuned].flatMap((system) =>
    [
      ["latency, idle, 2 processes, p50 ms", system.name, latency(system, 0.5)],
      ["latency, idle, 2 processes, p99 ms", system.name, latency(system, 0.99)],
      ["load of 1 idle worker, statements/s", system.name, idle(system, 1)],
    ] as const
  ),
  ["enqueue, 1 caller, jobs/s", OLD, enqueue(dispatch, "one", 2000, true)],
  ["enqueue, 50 callers, jobs/s", OLD, enqueue(dispatch, "fifty", JOBS, true)],
  ["enqueueMany by 1,000, jobs/s", OLD, enqueue(dispatch, "many", JOBS, true)],
  ["latency, idle, 2 processes, p50 ms", OLD, latency(dispatch, 0.5, true)],
  ["latency, idle, 2 processes, p99 ms", OLD, latency(dispatch, 0.99, true)],
  ["latency at 5,000 jobs/s, p99 ms", dispatch.name, steady(p99)],
  ["latency at 5,000 jobs/s, last 15 s / first 15 s", dispatch.name, steady(growth)],
  ["load of 10 idle workers, statements/s", dispatch.name, idle(dispatch, 10)],
  ["1 ms jobs, concurrency 100, jobs/s", "100 loops of sleeps", sleepsAlone],
  ["1 ms jobs, concurrency 100, jobs/s", dispatch.name, sleeping],
].filter(([group, system]) => new RegExp(ONLY).test(`${group}: ${system}`)) as typeof cases;

const times = new Map(cases.map(([group, system]) => [`${group}\n${system}`, [] as number[]]));
for (let round = 0; round < ROUNDS; round++) {
  for (const [group, system, run] of cases) {
    const figure = await run();
    times.get(`${group}\n${system}`)!.push(figure);
    console.error(`round ${round + 1}: ${group}: ${system}: ${figure.toFixed(1)}`);
  }
}

const show = (value: number) =>
  value < 100 ? value.toFixed(2) : Math.round(value).toLocaleString("en");
const rows: Row[] = [...new Set(cases.map(([group]) => group))].flatMap((group) =>
  cases.filter(([g]) => g === group).map(([, system]) => {
    const all = times.get(`${group}\n${system}`)!;
    const own = times.get(`${group}\n${dispatch.name}`);
    const ratio = own === undefined ? "" : (median(own) / median(all)).toFixed(2);
    return [group, system, show(median(all)), all.length > 1 ? range(all) : "", ratio];
  })
);
printTable(["figure", "system", "median", "range", "Dispatch / it"], rows);
if (memory.length > 0) {
  console.log(`Peak memory of a process of Dispatch: ${Math.max(...memory).toFixed(0)} MB`);
}
await Deno.mkdir(".dispatch", { recursive: true });
await Deno.writeTextFile(
  ".dispatch/bench_postgres.json",
  JSON.stringify(
    { jobs: JOBS, rounds: ROUNDS, memoryMB: memory, figures: Object.fromEntries(times) },
    null,
    2,
  ),
);
Deno.exit(0);
