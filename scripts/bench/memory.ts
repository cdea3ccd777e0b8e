/**
 * `deno task bench`: what the engine itself costs, on the memory store with the default options.
 * Everything runs in one process, so the figures are those of this machine at this moment: compare
 * them only with others of the same run. Medians of the rounds, the range behind them.
 */

import {
  createExtension,
  defineJob,
  type Extension,
  memoryStore,
  silentLogger,
} from "../../mod.ts";
import { gcHeapMB, median, perSecond, printTable, range, type Row } from "./figures.ts";

const JOBS = Number(Deno.args[0] ?? 100_000);
const ROUNDS = Number(Deno.args[1] ?? 5);
const CALLERS = 50;

const Noop = defineJob({ name: "noop", handler: async (_input: { n: number }) => {} });

async function open(store = memoryStore(), concurrency?: number): Promise<Extension> {
  const ext = createExtension({
    store,
    concurrency,
    jobs: [Noop],
    config: false,
    disableRoutes: true,
    logger: silentLogger,
  });
  await ext.start();
  return ext;
}

/** Milliseconds that the work takes. */
async function time(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** A producer that runs nothing, on a store of its own. */
async function enqueueing(work: (ext: Extension) => Promise<unknown>): Promise<number> {
  const ext = await open(memoryStore(), 0);
  const ms = await time(() => work(ext));
  await ext.stop();
  return ms;
}

function oneByOne(jobs: number): Promise<number> {
  return enqueueing(async ({ engine }) => {
    for (let n = 0; n < jobs; n++) await engine.enqueue(Noop, { n });
  });
}

function atOnce(jobs: number): Promise<number> {
  return enqueueing(({ engine }) =>
    Promise.all(Array.from({ length: CALLERS }, async () => {
      for (let n = 0; n < jobs / CALLERS; n++) await engine.enqueue(Noop, { n });
    }))
  );
}

function many(jobs: number): Promise<number> {
  return enqueueing(({ engine }) => fill(engine, jobs));
}

async function fill(engine: Extension["engine"], jobs: number): Promise<void> {
  for (let done = 0; done < jobs; done += 1000) {
    const size = Math.min(1000, jobs - done);
    await engine.enqueueMany(Array.from({ length: size }, (_, n) => ({ job: Noop, input: { n } })));
  }
}

/** From the start of a worker with the default options until the last job is settled. */
async function drain(jobs: number): Promise<number> {
  const store = memoryStore();
  const producer = await open(store, 0);
  await fill(producer.engine, jobs);
  let worker: Extension | undefined;
  const ms = await time(async () => {
    worker = await open(store);
    for (;;) {
      const { pending, running } = await store.jobs.counts();
      if (pending + running === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  });
  await worker!.stop();
  await producer.stop();
  return ms;
}

/** How much longer a claim of 100 takes with 10^5 ready jobs than with 10^3. */
async function claimGrowth(): Promise<number> {
  const perClaim = async (ready: number): Promise<number> => {
    const store = memoryStore();
    const ext = await open(store, 0);
    await fill(ext.engine, ready);
    const request = {
      workerId: "bench",
      queues: ["default"],
      names: ["noop"],
      leaseMs: 30_000,
      suspects: false,
    };
    const times: number[] = [];
    for (let i = 0; i < 10; i++) {
      times.push(await time(() => store.jobs.claim({ ...request, limit: 100 })));
    }
    await ext.stop();
    return median(times);
  };
  await perClaim(1000); // warm up
  const small = await perClaim(1000);
  return await perClaim(100_000) / small;
}

/** Megabytes that are left behind by 100,000 jobs through one engine that has reached its cap. */
async function heapGrowth(): Promise<{ before: number; after: number }> {
  const store = memoryStore();
  const ext = await open(store);
  const through = async (jobs: number): Promise<void> => {
    await fill(ext.engine, jobs);
    while ((await store.jobs.counts()).pending + (await store.jobs.counts()).running > 0) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  await through(20_000); // the store keeps 10,000 finished jobs
  const before = gcHeapMB();
  await through(100_000);
  const after = gcHeapMB();
  await ext.stop();
  return { before, after };
}

const cases: [string, (jobs: number) => Promise<number>, number][] = [
  ["enqueue, one by one", oneByOne, JOBS / 2],
  [`enqueue, ${CALLERS} callers at once`, atOnce, JOBS],
  ["enqueueMany, in 1,000s", many, JOBS],
  ["drain, default options", drain, JOBS],
];
for (const [, run] of cases) await run(JOBS / 10); // warm up
const times = new Map<string, number[]>(cases.map(([name]) => [name, []]));
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, run, jobs] of cases) times.get(name)!.push(perSecond(jobs, await run(jobs)));
}

const rows: Row[] = cases.map(([name]) => {
  const rates = times.get(name)!;
  return [name, `${Math.round(median(rates)).toLocaleString("en")} jobs/s`, range(rates)];
});
const drained = median(times.get("drain, default options")!);
rows.push(["engine overhead, claim to settled", `${(1e6 / drained).toFixed(2)} µs/job`, ""]);
rows.push([
  "claim of 100: 10^5 ready against 10^3",
  `${(await claimGrowth()).toFixed(2)} ×`,
  "at most 2",
]);
const { before, after } = await heapGrowth();
rows.push([
  "heap after 100,000 more jobs",
  `${after.toFixed(1)} MB`,
  `before: ${before.toFixed(1)} MB`,
]);
printTable(
  [`memory store, ${JOBS.toLocaleString("en")} jobs, medians of ${ROUNDS}`, "", "range"],
  rows,
);
