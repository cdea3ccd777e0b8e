/**
 * `deno task bench:workflows`: runs of five steps that do nothing, on Dispatch, DBOS, absurd-sdk and
 * openworkflow, on a PostgreSQL 18 of its own with default durability. The figures are those of this
 * machine at this moment: compare them only with others of the same run. Each round takes every system
 * once, in a fresh database and with fresh processes; medians of the rounds, the range behind them.
 *
 * absurd-sdk is without the SQL of its schema, which its package does not have: `absurd.sql` of its
 * repository, put at `.dispatch/absurd.sql`, has it take part.
 *
 * Arguments: runs (5000; peers run a tenth), rounds (3), a pattern of the figures.
 */

import postgres from "postgres";
import { createDatabase } from "../../tests/postgres.ts";
import { median, perSecond, printTable, range, type Row } from "./figures.ts";
import { Child, dispatchFlows, flowPeer, type System } from "./postgres/child.ts";

const RUNS = Number(Deno.args[0] ?? 5000);
const ROUNDS = Number(Deno.args[1] ?? 3);
const ONLY = Deno.args[2] ?? "";
const ABSURD_SQL = ".dispatch/absurd.sql";

const dbos = flowPeer(
  "DBOS",
  "dbos",
  "select 1 from dbos.workflow_status where status = 'PENDING' limit 1",
);
const absurd = flowPeer(
  "absurd-sdk",
  "absurd",
  "select 1 from absurd.t_bench where state not in ('completed', 'failed', 'cancelled') limit 1",
  ABSURD_SQL,
);
const openworkflow = flowPeer(
  "openworkflow",
  "openworkflow",
  `select 1 from openworkflow.workflow_runs
  where status not in ('completed', 'succeeded', 'failed', 'canceled') limit 1`,
);
const peers = [dbos, openworkflow];
try {
  await Deno.stat(ABSURD_SQL);
  peers.push(absurd);
} catch {
  console.error(`absurd-sdk is left out: there is no ${ABSURD_SQL}`);
}

async function fresh<T>(
  work: (
    url: string,
    sql: ReturnType<typeof postgres>,
    start: (system: System) => Promise<Child>,
  ) => Promise<T>,
): Promise<T> {
  await using database = await createDatabase();
  const sql = postgres(database.url, { max: 1, fetch_types: false, onnotice: () => {} });
  const children: Child[] = [];
  try {
    return await work(database.url, sql, async (system) => {
      const child = await Child.start(system, database.url);
      children.push(child);
      return child;
    });
  } finally {
    for (const child of children) await child.stop();
    await sql.end();
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Steps a second, from "go" to processes that stand ready until no run is left. */
const steps = (system: System, processes: number) => () =>
  fresh(async (_, sql, start) => {
    const runs = system === dispatchFlows ? RUNS : Math.ceil(RUNS / 10);
    const producer = await start(system);
    await producer.do("setup");
    const workers: Child[] = [];
    if (system === dbos) { // each process is given its share
      workers.push(producer);
      for (let i = 1; i < processes; i++) workers.push(await start(system));
      for (const worker of workers) await worker.do("start", { n: Math.ceil(runs / processes) });
    } else {
      await producer.do("start", { n: runs });
      for (let i = 0; i < processes; i++) workers.push(await start(system));
    }
    for (const worker of workers) await worker.do("ready");
    const begun = performance.now();
    await Promise.all(workers.map((worker) => worker.do("work")));
    while ((await sql.unsafe(system.unfinished)).length > 0) await pause(10);
    return perSecond(5 * runs, performance.now() - begun);
  });

const starts = (order: "start" | "enqueue") => () =>
  fresh(async (_, __, start) => {
    const producer = await start(dispatchFlows);
    await producer.do("setup");
    await producer.do(order, { n: 2000 });
    return perSecond(RUNS, await producer.do<number>(order, { n: RUNS }));
  });

const lone = () =>
  fresh(async (_, __, start) => {
    const child = await start(dispatchFlows);
    await child.do("setup");
    await child.do("lone", { n: 20 });
    return await child.do<number>("lone", { n: 100 }) / 100;
  });

/** How much longer the last steps of a run of 10,000 take than the first. */
const linear = () =>
  fresh(async (_, __, start) => {
    const child = await start(dispatchFlows);
    await child.do("setup");
    const [first, last] = await child.do<[number[], number[]]>("long", { n: 10_000 });
    return median(last) / median(first);
  });

const all = [dispatchFlows, ...peers];
const cases = ([
  ...all.map((system) => ["steps/s, 1 process", system.name, steps(system, 1)]),
  ...all.map((system) => ["steps/s, 2 processes", system.name, steps(system, 2)]),
  ["starts by 50 callers, /s", "startWorkflow", starts("start")],
  ["starts by 50 callers, /s", "enqueue", starts("enqueue")],
  ["a lone run of five steps, ms", dispatchFlows.name, lone],
  ["steps 9,801–10,000 / 1–200 of one run", dispatchFlows.name, linear],
] as [string, string, () => Promise<number>][])
  .filter(([group, system]) => new RegExp(ONLY).test(`${group}: ${system}`));

const figures = new Map(cases.map(([group, system]) => [`${group}\n${system}`, [] as number[]]));
for (let round = 0; round < ROUNDS; round++) {
  for (const [group, system, run] of cases) {
    const figure = await run();
    figures.get(`${group}\n${system}`)!.push(figure);
    console.error(`round ${round + 1}: ${group}: ${system}: ${figure.toFixed(2)}`);
  }
}
const show = (n: number) => n < 100 ? n.toFixed(2) : Math.round(n).toLocaleString("en");
const rows: Row[] = cases.map(([group, system]) => {
  const own = figures.get(`${group}\n${dispatchFlows.name}`);
  const measured = figures.get(`${group}\n${system}`)!;
  const ratio = own === undefined ? "" : (median(own) / median(measured)).toFixed(2);
  return [group, system, show(median(measured)), range(measured), ratio];
});
printTable(["figure", "system", "median", "range", "Dispatch / it"], rows);
Deno.exit(0);
