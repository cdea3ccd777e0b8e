/**
 * `deno task bench:postgres`: Dispatch with its default options beside the raw statements,
 * graphile-worker and pg-boss, on a PostgreSQL 18 of its own with default durability. The figures are
 * those of this machine at this moment: compare them only with others of the same run. Each round
 * takes every system once, each time in a fresh database and with fresh processes; medians of the
 * rounds, the range behind them.
 *
 * Arguments: jobs (20000), rounds (3), a pattern of the figures to measure only those.
 */

import { median, printTable, range, type Row } from "./figures.ts";
import { dispatch, graphileDefault, graphileTuned, pgBoss, raw } from "./postgres/child.ts";
import {
  drain,
  drainBare,
  enqueue,
  growth,
  idle,
  latency,
  memory,
  p99,
  sleeping,
  sleepsAlone,
  steady,
} from "./postgres/measure.ts";

const JOBS = Number(Deno.args[0] ?? 20_000);
const ROUNDS = Number(Deno.args[1] ?? 3);
const ONLY = Deno.args[2] ?? "";

type Measurement = () => Promise<number>;

/** Systems by their names, and how each is measured. */
type Group = Record<string, Measurement>;

const OLD = "Dispatch, beside 1,000,000 finished and 300,000 pending";

/** Dispatch, alone and beside a history. */
const own = (measure: (setting: { old?: boolean }) => Measurement): Group => ({
  [dispatch.name]: measure({}),
  [OLD]: measure({ old: true }),
});

const processes = 2;

/** In the order of the table. */
const figures: Record<string, Group> = {
  "drain, 1 process, jobs/s": {
    "raw, claim 500 + UPDATE": drainBare("minimal", JOBS),
    "raw, the store's statements": drainBare("same", JOBS),
    ...own((setting) => drain(dispatch, JOBS, setting)),
    [graphileTuned.name]: drain(graphileTuned, JOBS),
    [pgBoss.name]: drain(pgBoss, JOBS),
    [graphileDefault.name]: drain(graphileDefault, JOBS),
  },
  "drain, 2 processes, jobs/s": {
    ...own((setting) => drain(dispatch, JOBS, { ...setting, processes })),
    [graphileTuned.name]: drain(graphileTuned, JOBS, { processes }),
  },
  // Of 2,000, which take less than a second, two rounds differed by a tenth.
  "enqueue, 1 caller, jobs/s": {
    "raw INSERT": enqueue(raw, "one", JOBS / 2),
    ...own((setting) => enqueue(dispatch, "one", JOBS / 2, setting)),
    [graphileTuned.name]: enqueue(graphileTuned, "one", JOBS / 2),
    [pgBoss.name]: enqueue(pgBoss, "one", JOBS / 2),
  },
  "enqueue, 50 callers, jobs/s": {
    "raw coalesced INSERT": enqueue(raw, "fifty", JOBS),
    ...own((setting) => enqueue(dispatch, "fifty", JOBS, setting)),
    [graphileTuned.name]: enqueue(graphileTuned, "fifty", 5000),
    [pgBoss.name]: enqueue(pgBoss, "fifty", 5000),
  },
  "enqueueMany by 1,000, jobs/s": {
    "raw unnest INSERT": enqueue(raw, "many", JOBS),
    ...own((setting) => enqueue(dispatch, "many", JOBS, setting)),
    [graphileTuned.name]: enqueue(graphileTuned, "many", JOBS),
    [pgBoss.name]: enqueue(pgBoss, "many", JOBS),
  },
  "latency, idle, 2 processes, p50 ms": {
    ...own((setting) => latency(dispatch, 0.5, setting)),
    [graphileTuned.name]: latency(graphileTuned, 0.5),
  },
  "latency, idle, 2 processes, p99 ms": {
    ...own((setting) => latency(dispatch, 0.99, setting)),
    [graphileTuned.name]: latency(graphileTuned, 0.99),
  },
  "latency at 5,000 jobs/s, p99 ms": own((setting) => steady(p99, setting)),
  "latency at 5,000 jobs/s, last 15 s / first 15 s": own((setting) => steady(growth, setting)),
  "load of 1 idle worker, statements/s": {
    ...own((setting) => idle(dispatch, setting)),
    [graphileTuned.name]: idle(graphileTuned),
  },
  "load of 10 idle workers, statements/s": own((setting) =>
    idle(dispatch, { ...setting, processes: 10 })
  ),
  // So many that their start, a twelfth of the time of 20,000, hardly counts.
  "1 ms jobs, concurrency 100, jobs/s": {
    "100 loops of sleeps": sleepsAlone(5 * JOBS),
    ...own((setting) => sleeping(5 * JOBS, setting)),
  },
};

const wanted = new RegExp(ONLY);
const cases = Object.entries(figures).flatMap(([figure, group]) =>
  Object.entries(group)
    .filter(([system]) => wanted.test(`${figure}: ${system}`))
    .map(([system, measure]) => ({ figure, system, measure, values: [] as number[] }))
);
for (let round = 1; round <= ROUNDS; round++) {
  for (const { figure, system, measure, values } of cases) {
    values.push(await measure());
    console.error(`round ${round}: ${figure}: ${system}: ${values.at(-1)!.toFixed(1)}`);
  }
}

const show = (value: number) =>
  value < 100 ? value.toFixed(2) : Math.round(value).toLocaleString("en");
const rows = cases.map(({ figure, system, values }): Row => {
  const own = cases.find((c) => c.figure === figure && c.system === dispatch.name);
  const ratio = own === undefined ? "" : (median(own.values) / median(values)).toFixed(2);
  return [figure, system, show(median(values)), values.length > 1 ? range(values) : "", ratio];
});
printTable(["figure", "system", "median", "range", "Dispatch / it"], rows);
if (memory.length > 0) {
  console.log(`Peak memory of a process of Dispatch: ${Math.max(...memory).toFixed(0)} MB`);
}
const byCase = cases.map(({ figure, system, values }) => [`${figure}\n${system}`, values]);
await Deno.mkdir(".dispatch", { recursive: true });
await Deno.writeTextFile(
  ".dispatch/bench_postgres.json",
  JSON.stringify(
    { jobs: JOBS, rounds: ROUNDS, memoryMB: memory, figures: Object.fromEntries(byCase) },
    null,
    2,
  ),
);
Deno.exit(0);
