// One process of a peer: obeys commands, one JSON text a line, as ../postgres/child.ts sends them.
// The settings are the fast ones of each: graphile-worker's of its own perfTest/graphile.config.js,
// pg-boss's the best of several that were tried.
import { createInterface } from "node:readline";

const [system, setting, connectionString] = process.argv.slice(2);
const now = () => performance.timeOrigin + performance.now();
const latencies = [];
let ran = 0;
const handle = ({ sent }) => {
  ran++;
  if (sent) latencies.push(now() - sent);
};

async function graphile() {
  const { Logger, makeWorkerUtils, run } = await import("graphile-worker");
  const logger = new Logger(() => () => {});
  const tuned = setting === "tuned";
  const preset = {
    worker: {
      connectionString,
      logger,
      ...(tuned && {
        concurrentJobs: 24,
        maxPoolSize: 25,
        localQueue: { size: 500, refetchDelay: { durationMs: 10 } },
        completeJobBatchDelay: 0,
        failJobBatchDelay: 0,
      }),
    },
  };
  const utils = await makeWorkerUtils({ preset });
  let runner;
  return {
    setup: () => utils.migrate(),
    enqueue: (payload) => utils.addJob("noop", payload),
    enqueueMany: (payloads) =>
      utils.addJobs(payloads.map((payload) => ({ identifier: "noop", payload }))),
    async work() {
      runner = await run({ preset, taskList: { noop: handle } });
    },
    async stop() {
      await runner?.stop();
      await utils.release();
    },
  };
}

async function pgBoss() {
  const { PgBoss } = await import("pg-boss");
  const boss = new PgBoss({ connectionString, useListenNotify: true });
  boss.on("error", () => {});
  let started;
  const start = () => (started ??= boss.start());
  return {
    async setup() {
      await start();
      await boss.createQueue("noop", { notify: true });
    },
    enqueue: async (payload) => (await start(), boss.send("noop", payload)),
    enqueueMany: async (
      payloads,
    ) => (await start(), boss.insert("noop", payloads.map((data) => ({ data })))),
    async work() {
      await start();
      await boss.work(
        "noop",
        {
          batchSize: 1000,
          localConcurrency: 2,
          pollingIntervalSeconds: 0.5,
          burstWhenBatchFull: true,
        },
        (jobs) => Promise.resolve(jobs.forEach(({ data }) => handle(data))),
      );
    },
    stop: () => started && boss.stop({ graceful: false }),
  };
}

const peer = await (system === "graphile-worker" ? graphile() : pgBoss());

async function time(work) {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

const commands = {
  setup: () => peer.setup(),
  one: ({ n }) =>
    time(async () => {
      for (let i = 0; i < n; i++) await peer.enqueue({ n: i });
    }),
  fifty: ({ n }) =>
    time(() =>
      Promise.all(Array.from({ length: 50 }, async () => {
        for (let i = 0; i < n / 50; i++) await peer.enqueue({ n: i });
      }))
    ),
  many: ({ n }) =>
    time(async () => {
      for (let i = 0; i < n; i += 1000) {
        await peer.enqueueMany(Array.from({ length: 1000 }, (_, k) => ({ n: k })));
      }
    }),
  work: () => peer.work(),
  async send({ n, gap }) {
    for (let i = 0; i < n; i++) {
      await peer.enqueue({ n: i, sent: now() });
      await new Promise((resolve) => setTimeout(resolve, gap));
    }
  },
  ran: () => ran,
  latencies: () => latencies.splice(0),
  memory: () => process.resourceUsage().maxRSS / 1024,
  async stop() {
    await peer.stop();
    process.exit(0);
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  const result = await commands[command.do](command);
  console.log(JSON.stringify({ result: result ?? null }));
}
