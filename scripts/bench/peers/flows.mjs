// One process of a peer that runs workflows: obeys commands, one JSON text a line, as
// ../postgres/child.ts sends them. The workflow is five steps that do nothing. Each runs 100 at once,
// which served all of them better than their defaults.
import { createInterface } from "node:readline";
import { readFile } from "node:fs/promises";

const [system, connectionString, absurdSql] = process.argv.slice(2);
const CONCURRENCY = 100;

async function dbos() {
  const { DBOS } = await import("@dbos-inc/dbos-sdk");
  const five = DBOS.registerWorkflow(async (n) => {
    for (let i = 0; i < 5; i++) await DBOS.runStep(() => Promise.resolve(i), { name: `step${i}` });
    return n;
  }, { name: "five" });
  DBOS.setConfig({
    name: "bench",
    systemDatabaseUrl: connectionString,
    systemDatabasePoolSize: 20,
    logLevel: "error",
  });
  await DBOS.launch();
  let wanted = 0;
  return {
    // Its queues are polled, which costs it throughput: it is given the runs directly instead.
    start: (n) => void (wanted = n),
    async work() {
      let next = 0;
      const lane = async () => {
        while (next++ < wanted) await (await DBOS.startWorkflow(five)(next)).getResult();
      };
      await Promise.all(Array.from({ length: CONCURRENCY }, lane));
    },
    stop: () => DBOS.shutdown(),
  };
}

async function absurd() {
  const { Absurd } = await import("absurd-sdk");
  const { default: pg } = await import("pg");
  const pool = new pg.Pool({ connectionString, max: 20 });
  const app = new Absurd({ db: pool, queueName: "bench" });
  app.registerTask({ name: "five" }, async ({ n }, ctx) => {
    for (let i = 0; i < 5; i++) await ctx.step(`step${i}`, () => Promise.resolve(i));
    return n;
  });
  let worker;
  return {
    async setup() {
      await pool.query(await readFile(absurdSql, "utf8"));
      await app.createQueue("bench");
    },
    start: (n) => spread(n, (i) => app.spawn("five", { n: i })),
    async work() {
      worker = await app.startWorker({
        concurrency: CONCURRENCY,
        batchSize: CONCURRENCY,
        pollInterval: 0.01,
      });
    },
    stop: () => worker?.close(),
  };
}

async function openworkflow() {
  const { OpenWorkflow } = await import("openworkflow");
  const { BackendPostgres } = await import("openworkflow/postgres");
  const backend = await BackendPostgres.connect(connectionString);
  const ow = new OpenWorkflow({ backend });
  const five = ow.defineWorkflow({ name: "five" }, async ({ input, step }) => {
    for (let i = 0; i < 5; i++) await step.run({ name: `step${i}` }, () => Promise.resolve(i));
    return input.n;
  });
  let worker;
  return {
    start: (n) => spread(n, (i) => five.run({ n: i })),
    async work() {
      worker = ow.newWorker({ concurrency: CONCURRENCY });
      await worker.start();
    },
    stop: () => worker?.stop(),
  };
}

/** Starts `n` runs by 50 callers. */
async function spread(n, start) {
  let next = 0;
  await Promise.all(Array.from({ length: 50 }, async () => {
    while (next < n) await start(next++);
  }));
}

const peer = await { dbos, absurd, openworkflow }[system]();
const commands = {
  setup: () => peer.setup?.(),
  async start({ n }) {
    const begun = performance.now();
    await peer.start(n);
    return performance.now() - begun;
  },
  work: () => peer.work(),
  ready: () => null,
  async stop() {
    await Promise.race([peer.stop(), new Promise((resolve) => setTimeout(resolve, 3000))]);
    process.exit(0);
  },
};
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  const result = await commands[command.do](command);
  console.log(JSON.stringify({ result: result ?? null }));
}
