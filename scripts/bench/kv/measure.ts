/**
 * One measurement on a file of its own, under Deno or, bundled, under Node with `@deno/kv`:
 * `measure.ts <what> <path> <jobs>` prints a number, the last line of its output.
 */

import process from "node:process";
import { createExtension, defineJob, kvStore, silentLogger } from "../../../mod.ts";
import { openKv } from "../../../src/store/kv/open.ts";
import { seed } from "./seed.ts";

const [what, path, count] = process.argv.slice(2);
const jobs = Number(count);
const CALLERS = 64;

const now = () => performance.now();
const perSecond = (n: number, ms: number) => n / ms * 1000;
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

let handled = 0;
const latencies: number[] = [];
const Noop = defineJob({
  name: "noop",
  handler: (input: { n: number; sent?: number }) => {
    handled++;
    if (input.sent !== undefined) latencies.push(now() - input.sent);
  },
});

const store = kvStore(path);

/** An extension with the default options, or one that only enqueues. */
async function start(concurrency?: number) {
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

type Ext = Awaited<ReturnType<typeof start>>;

async function many(ext: Ext, n: number, options = {}) {
  for (let i = 0; i < n; i += 1000) {
    await ext.engine.enqueueMany(
      Array.from({ length: Math.min(1000, n - i) }, (_, k) => ({
        job: Noop,
        input: { n: i + k },
        options,
      })),
    );
  }
}

/** From the start of a worker to the last of its jobs being written as completed. */
async function drain(before: number) {
  const start_ = now();
  const ext = await start();
  while (handled < jobs) await pause(2);
  while ((await store.jobs.counts()).completed < before + jobs) await pause(2);
  const rate = perSecond(jobs, now() - start_);
  await ext.stop();
  return rate;
}

/** `n` calls by many callers. */
async function callers(n: number, call: (i: number) => Promise<unknown>): Promise<number> {
  let next = 0;
  const begun = now();
  await Promise.all(Array.from({ length: CALLERS }, async () => {
    while (next < n) await call(next++);
  }));
  return perSecond(n, now() - begun);
}

/** Deno's own queue, of which `@deno/kv` has none on a file. */
type Queue = Deno.Kv;

const measures: Record<string, () => Promise<number>> = {
  async drain() {
    const ext = await start(0);
    await many(ext, jobs);
    await ext.stop();
    return await drain(0);
  },
  async "drain beside others"() {
    const finished = 500_000;
    const ext = await start(0);
    await seed(path, finished);
    await many(ext, 100_000, { priority: -1 });
    await many(ext, 100_000, { delay: "30d" });
    await many(ext, jobs);
    await ext.stop();
    return await drain(finished);
  },
  async enqueue() {
    const ext = await start(0);
    await many(ext, 2000); // compiled
    const rate = await callers(jobs, (n) => ext.engine.enqueue(Noop, { n }));
    await ext.stop();
    return rate;
  },
  async enqueueMany() {
    const ext = await start(0);
    await many(ext, 2000);
    const begun = now();
    await many(ext, jobs);
    const rate = perSecond(jobs, now() - begun);
    await ext.stop();
    return rate;
  },
  /** Milliseconds from enqueue to handler in one process: of a hundred, the slowest but one. */
  async latency() {
    const ext = await start();
    for (let n = 0; n < 350; n++) {
      if (n === 50) latencies.length = 0;
      await ext.engine.enqueue(Noop, { n, sent: now() });
      await pause(5);
    }
    await pause(100);
    await ext.stop();
    latencies.sort((a, b) => a - b);
    return latencies[Math.floor(latencies.length * 0.99)];
  },
  async "kv.enqueue"() {
    const kv = await openKv(path) as unknown as Queue;
    const rate = await callers(jobs, (n) => kv.enqueue({ n }));
    kv.close();
    return rate;
  },
  async listenQueue() {
    const kv = await openKv(path) as unknown as Queue;
    for (let n = 0; n < jobs; n += 500) {
      const op = kv.atomic();
      for (let k = 0; k < 500; k++) op.enqueue({ n: n + k });
      await op.commit();
    }
    const begun = now();
    const left = Promise.withResolvers<number>();
    void kv.listenQueue(() => {
      if (++handled === jobs) left.resolve(perSecond(jobs, now() - begun));
    });
    const rate = await left.promise;
    kv.close();
    return rate;
  },
};

const figure = await measures[what]();
await store.close();
console.log(figure);
process.exit(0);
