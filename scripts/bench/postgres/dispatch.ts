/** One process of Dispatch: obeys commands, one JSON text a line, as `child.ts` sends them. */

import { createExtension, defineJob, type Extension, silentLogger } from "../../../mod.ts";
import { postgresStore } from "../../../src/store/postgres/store.ts";
import { obey, time } from "./obey.ts";

const [url] = Deno.args;
const now = () => performance.timeOrigin + performance.now();
const latencies: number[] = [];
let ran = 0;

const Noop = defineJob({
  name: "noop",
  handler: (input: { n: number; sent?: number }) => {
    ran++;
    if (input.sent === undefined) return Promise.resolve();
    latencies.push(Math.round((now() - input.sent) * 1000) / 1000); // short texts: their peak counts
    return Promise.resolve();
  },
});
const Sleep = defineJob({
  name: "sleep",
  handler: async (_: { n: number }) => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    ran++;
  },
});

const extensions: Extension[] = [];
// The process stands ready: its client is loaded and connected, as the peers' are.
const store = postgresStore(url);
await store.ping();

/** An extension with the default options, or one that only enqueues. */
async function open(concurrency?: number): Promise<Extension> {
  const ext = createExtension({
    store,
    concurrency,
    jobs: [Noop, Sleep],
    config: false,
    disableRoutes: true,
    logger: silentLogger,
  });
  await ext.start();
  extensions.push(ext);
  return ext;
}

let producer: Promise<Extension> | undefined;
const engine = async () => (await (producer ??= open(0))).engine;

interface Command {
  readonly n: number;
  readonly gap: number;
  readonly rate: number;
  readonly job?: string;
  readonly concurrency?: number;
}

const commands: Record<string, (command: Command) => Promise<unknown>> = {
  setup: async () => void await engine(),
  async one({ n }) {
    const to = await engine();
    return await time(async () => {
      for (let i = 0; i < n; i++) await to.enqueue(Noop, { n: i });
    });
  },
  async fifty({ n }) {
    const to = await engine();
    return await time(() =>
      Promise.all(Array.from({ length: 50 }, async () => {
        for (let i = 0; i < n / 50; i++) await to.enqueue(Noop, { n: i });
      }))
    );
  },
  async many({ n, job = "noop" }) {
    const to = await engine();
    return await time(async () => {
      for (let i = 0; i < n; i += 1000) {
        await to.enqueueMany(Array.from({ length: 1000 }, (_, k) => ({ job, input: { n: k } })));
      }
    });
  },
  work: async ({ concurrency }) => void await open(concurrency),
  async send({ n, gap }) {
    const to = await engine();
    for (let i = 0; i < n; i++) {
      await to.enqueue(Noop, { n: i, sent: now() });
      await new Promise((resolve) => setTimeout(resolve, gap));
    }
  },
  /** As many enqueues a second as asked for, whatever each of them takes. */
  async steady({ n: seconds, rate }) {
    const to = await engine();
    const start = performance.now();
    const calls = new Set<Promise<void>>(); // those that are open: 300,000 jobs would fill this process
    for (let sent = 0; sent < seconds * rate;) {
      const due = Math.min(seconds * rate, Math.floor((performance.now() - start) * rate / 1000));
      for (; sent < due; sent++) {
        const call = to.enqueue(Noop, { n: sent, sent: now() }).then(() => void calls.delete(call));
        calls.add(call);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await Promise.all(calls);
  },
  ran: () => Promise.resolve(ran),
  latencies: () => Promise.resolve(latencies.splice(0)),
  memory: peakMB,
  async stop() {
    for (const ext of extensions) await ext.stop();
    Deno.exit(0);
  },
};

/** The most that this process ever had, where the system tells; else what it has now. */
async function peakMB(): Promise<number> {
  const status = await Deno.readTextFile("/proc/self/status").catch(() => "");
  const kB = status.match(/VmHWM:\s*(\d+) kB/)?.[1];
  return kB === undefined ? Deno.memoryUsage().rss / 2 ** 20 : Number(kB) / 1024;
}

await obey(commands);
