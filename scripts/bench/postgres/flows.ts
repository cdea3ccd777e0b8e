/** One process of Dispatch that runs workflows: obeys commands as `child.ts` sends them. */

import { createExtension, defineWorkflow, type Extension, silentLogger } from "../../../mod.ts";
import { postgresStore } from "../../../src/store/postgres/store.ts";
import { obey } from "./obey.ts";

const [url] = Deno.args;

const Five = defineWorkflow({
  name: "five",
  handler: async (n: number, step) => {
    for (let i = 0; i < 5; i++) await step.run(`step${i}`, () => Promise.resolve(i));
    return n;
  },
});

const Many = defineWorkflow({
  name: "many",
  handler: async (n: number, step) => {
    const times: number[] = [];
    for (let i = 0; i < n; i++) {
      const start = performance.now();
      await step.run("one", () => Promise.resolve(i));
      times.push(performance.now() - start);
    }
    return [times.slice(0, 200), times.slice(-200)];
  },
});

const extensions: Extension[] = [];
const store = postgresStore(url);
await store.ping();

async function open(concurrency: number): Promise<Extension> {
  const ext = createExtension({
    store,
    concurrency,
    workflows: [Five, Many],
    config: false,
    disableRoutes: true,
    logger: silentLogger,
  });
  await ext.start();
  extensions.push(ext);
  return ext;
}

let alone: Promise<Extension> | undefined;
let client: Promise<Extension> | undefined;
const engine = async () => (await (client ??= open(0))).engine;

interface Command {
  readonly n: number;
  readonly callers?: number;
  readonly concurrency?: number;
}

const commands: Record<string, (command: Command) => Promise<unknown>> = {
  setup: async () => void await engine(),
  ready: () => Promise.resolve(null),
  async start({ n, callers = 50 }) {
    const to = await engine();
    const begun = performance.now();
    let next = 0;
    await Promise.all(Array.from({ length: callers }, async () => {
      while (next < n) await to.startWorkflow(Five, next++);
    }));
    return performance.now() - begun;
  },
  async enqueue({ n, callers = 50 }) {
    const to = await engine();
    const begun = performance.now();
    let next = 0;
    await Promise.all(Array.from({ length: callers }, async () => {
      while (next < n) await to.enqueue("nobody", next++);
    }));
    return performance.now() - begun;
  },
  work: async ({ concurrency = 500 }) => void await open(concurrency),
  /** One run after the other: what a lone run takes. */
  async lone({ n }) {
    const { engine } = await (alone ??= open(1));
    const begun = performance.now();
    for (let i = 0; i < n; i++) await engine.result((await engine.startWorkflow(Five, i)).id);
    return performance.now() - begun;
  },
  async long({ n }) {
    const { engine } = await open(1);
    return await engine.result((await engine.startWorkflow(Many, n)).id);
  },
  async stop() {
    for (const ext of extensions) await ext.stop();
    Deno.exit(0);
  },
};

await obey(commands);
