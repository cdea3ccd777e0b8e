/**
 * The measurements, each in a fresh database and with fresh processes. Where a history is asked for, a
 * million finished jobs are there already, and 300,000 that wait behind all others.
 */

import postgres from "postgres";
import { createDatabase } from "../../../tests/postgres.ts";
import { perSecond } from "../figures.ts";
import { Child, dispatch, raw, type System } from "./child.ts";

type Sql = ReturnType<typeof postgres>;

/** How a measurement is made. */
export interface Setting {
  /** Whether there is a history; Dispatch only. */
  readonly old?: boolean;
  /** Processes that work. */
  readonly processes?: number;
}

/** Peaks of the processes of Dispatch, in megabytes. */
export const memory: number[] = [];

interface Bench {
  readonly url: string;
  readonly sql: Sql;
  /** Starts a process; its `setup` makes the tables. */
  start(system: System): Promise<Child>;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

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

/** When a history ended: hours ago, where the default retention keeps it for a day. */
const HISTORY = Date.now() - 6 * 3_600_000;

/** Ids in the order of time, as the engine's are. */
async function age({ sql }: Bench, name: string): Promise<void> {
  await sql.unsafe(`insert into dispatch.finished
    select uuidv7(), 1, t, 0, t, t, t, t, 0, 1, 0, 3, 0, 'c', 'default', 'noop', '{"n":1}', 'w',
      null, null, null, null, 'null'
    from generate_series(1, 1000000) i, (select ${HISTORY}::int8 as t) t`);
  await sql.unsafe(`insert into dispatch.completions (completed_at, ids)
    select max(completed_at), array_agg(id) from (
      select *, row_number() over (order by id) / 1000 as batch from dispatch.finished) f group by batch`);
  await sql.unsafe(
    `insert into dispatch.jobs (id, run_at, timeout_ms, created_at, updated_at,
    priority, max_retries, state, queue, name, payload)
    select uuidv7(), t, 0, t, t, -1, 3, 'w', 'default', '${name}', '{"n":1}'
    from generate_series(1, 300000) i, (select ${HISTORY}::int8 as t) t`,
  );
  await sql.unsafe("vacuum analyze dispatch.finished, dispatch.jobs");
  await sql.unsafe("checkpoint");
}

/** Fewer than `n` of the jobs of this bench are finished; those of its history ended long ago. */
const fewerFinished = (n: number) =>
  `select 1 where (select coalesce(sum(cardinality(ids)), 0) from dispatch.completions
    where completed_at > ${HISTORY}) < ${n}`;

/**
 * Until `n` jobs are run and `unfinished` finds nothing. The database is asked once all handlers have
 * run, and the workers seldom, half of the time that seems to be left apart: reading past what is
 * deleted, every 10 ms, took a fifteenth of the machine from those who worked.
 */
async function untilDone(
  { sql }: Bench,
  workers: readonly Child[],
  n: number,
  unfinished: string,
): Promise<void> {
  const start = performance.now();
  for (let ran = 0; ran < n;) {
    const leftMs = (performance.now() - start) * (n - ran) / (ran + 1);
    await pause(Math.min(50, Math.max(2, leftMs / 2)));
    ran = 0;
    for (const worker of workers) ran += await worker.do<number>("ran");
  }
  while ((await sql.unsafe(unfinished)).length > 0) await pause(2);
}

/** Jobs a second, from "go" to processes that stand ready until nothing is unfinished. */
export const drain = (system: System, jobs: number, { old, processes = 1 }: Setting = {}) => () =>
  fresh(async (bench) => {
    const producer = await bench.start(system);
    await producer.do("setup");
    await producer.do("many", { n: jobs });
    if (old) await age(bench, "noop");
    const workers: Child[] = [];
    for (let i = 0; i < processes; i++) workers.push(await bench.start(system));
    for (const worker of workers) await worker.do("memory"); // it is up
    const start = performance.now();
    await Promise.all(workers.map((worker) => worker.do("work")));
    await untilDone(bench, workers, jobs, old ? fewerFinished(jobs) : system.unfinished);
    return perSecond(jobs, performance.now() - start);
  });

/** Jobs a second that one process stores. */
export const enqueue = (system: System, order: string, jobs: number, { old }: Setting = {}) => () =>
  fresh(async (bench) => {
    const producer = await bench.start(system);
    await producer.do("setup");
    if (old) await age(bench, "other");
    await producer.do(order, { n: order === "many" ? 10_000 : jobs / 4 }); // compiled, connected, planned
    return perSecond(jobs, await producer.do<number>(order, { n: jobs }));
  });

/** Milliseconds from enqueue to handler, in another process, of which a share took no longer. */
export const latency = (system: System, share: number, { old }: Setting = {}) => () =>
  fresh(async (bench) => {
    const [producer, worker] = [await bench.start(system), await bench.start(system)];
    await producer.do("setup");
    if (old) await age(bench, "other");
    await worker.do("work");
    await producer.do("send", { n: 30, gap: 10 });
    await pause(200);
    await worker.do("latencies");
    await producer.do("send", { n: 300, gap: 10 });
    await pause(500);
    return quantile(await worker.do<number[]>("latencies"), share);
  });

/** The same at 5,000 jobs a second, for a minute. */
export const steady = (figure: (latencies: number[]) => number, { old }: Setting = {}) => () =>
  fresh(async (bench) => {
    const [producer, worker] = [await bench.start(dispatch), await bench.start(dispatch)];
    await producer.do("setup");
    if (old) await age(bench, "other");
    await worker.do("work");
    await producer.do("steady", { n: 3, rate: 5000 });
    await worker.do("latencies");
    const latencies: number[] = [];
    let isSent = false;
    const sending = producer.do("steady", { n: 60, rate: 5000 }).then(() => (isSent = true));
    // Second by second: the memory of 300,000 of them is not what the worker needs.
    while (!isSent) {
      await Promise.race([sending, pause(1000)]);
      latencies.push(...await worker.do<number[]>("latencies"));
    }
    await untilDone(bench, [worker], 63 * 5000, fewerFinished(63 * 5000));
    latencies.push(...await worker.do<number[]>("latencies"));
    return figure(latencies);
  });

function quantile(latencies: readonly number[], share: number): number {
  const sorted = latencies.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

export const p99 = (latencies: readonly number[]) => quantile(latencies, 0.99);

/** The last quarter against the first. */
export function growth(latencies: readonly number[]): number {
  const quarter = latencies.length >> 2;
  return p99(latencies.slice(-quarter)) / p99(latencies.slice(0, quarter));
}

/**
 * Transactions a second that idle workers make together, over a minute, in which each does all that it
 * ever does; each statement of a store is one. They are counted from another database, and while no
 * autovacuum visits this one, whose transactions are counted as well.
 */
export const idle = (system: System, { old, processes = 1 }: Setting = {}) => () =>
  fresh(async (bench) => {
    for (let i = 0; i < processes; i++) {
      const worker = await bench.start(system);
      if (i === 0) {
        await worker.do("setup");
        if (old) await age(bench, "other");
      }
      await worker.do("work");
    }
    const elsewhere = new URL(bench.url);
    const database = elsewhere.pathname.slice(1);
    elsewhere.pathname = "/postgres";
    const sql = postgres(elsewhere.href, { max: 1, fetch_types: false });
    const count = async () => {
      const [{ n }] = await sql.unsafe(
        "select (xact_commit + xact_rollback)::float8 as n from pg_stat_database where datname = $1",
        [database],
      );
      return Number(n);
    };
    const setAutovacuum = async (to: string) => {
      await sql.unsafe(`alter system set autovacuum = ${to}`);
      await sql.unsafe("select pg_reload_conf()");
    };
    try {
      await setAutovacuum("off");
      await pause(15_000);
      const before = await count();
      await pause(60_000);
      return (await count() - before) / 60;
    } finally {
      await setAutovacuum("default");
      await sql.end();
    }
  });

/** Jobs a second where each waits 1 ms, 100 at once. */
export const sleeping = (jobs: number, { old }: Setting = {}) => () =>
  fresh(async (bench) => {
    const producer = await bench.start(dispatch);
    await producer.do("setup");
    await producer.do("many", { n: jobs, job: "sleep" });
    if (old) await age(bench, "other");
    const worker = await bench.start(dispatch);
    await worker.do("memory");
    const start = performance.now();
    await worker.do("work", { concurrency: 100 });
    await untilDone(bench, [worker], jobs, fewerFinished(jobs));
    return perSecond(jobs, performance.now() - start);
  });

/** What the sleeps alone allow: 100 loops of them in this process. */
export const sleepsAlone = (jobs: number) => async () => {
  const start = performance.now();
  await Promise.all(Array.from({ length: 100 }, async () => {
    for (let i = 0; i < jobs / 100; i++) await pause(1);
  }));
  return perSecond(jobs, performance.now() - start);
};

/** Jobs a second that two loops of bare statements drain: those of the store, or those of a minimal table. */
export const drainBare = (order: "minimal" | "same", jobs: number) => () =>
  fresh(async (bench) => {
    const producer = await bench.start(order === "same" ? dispatch : raw);
    await producer.do("setup");
    await producer.do("many", { n: jobs });
    const worker = await bench.start(raw);
    return perSecond(jobs, await worker.do<number>(order));
  });
