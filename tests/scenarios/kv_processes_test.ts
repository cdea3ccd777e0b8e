/** Several processes on one KV file. */

import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { silentLogger } from "../../src/core/logger.ts";
import { Engine } from "../../src/engine/engine.ts";
import { kvStore } from "../../src/store/kv/store.ts";
import { example } from "../examples/run.ts";
import { tempFolder } from "../kv.ts";

/** Worker processes of one file, and an engine here that only enqueues. */
class Processes implements AsyncDisposable {
  readonly #folder = tempFolder();
  readonly #running: Deno.ChildProcess[] = [];
  readonly engine = new Engine({ concurrency: 0, logger: silentLogger });
  store!: ReturnType<typeof kvStore>;
  path = "";

  async open(): Promise<this> {
    this.path = `${(await this.#folder).path}/jobs.kv`;
    this.store = kvStore(this.path);
    await this.store.migrate();
    await this.engine.start(this.store);
    return this;
  }

  async worker(): Promise<Deno.ChildProcess> {
    const worker = example("tests/scenarios/kv_worker.ts", {
      env: { KV_PATH: this.path },
      stderr: "inherit",
    }).spawn();
    this.#running.push(worker);
    const reader = worker.stdout.getReader();
    await reader.read();
    await reader.cancel();
    return worker;
  }

  async kill(worker: Deno.ChildProcess): Promise<void> {
    worker.kill("SIGKILL");
    await worker.status;
    this.#running.splice(this.#running.indexOf(worker), 1);
  }

  /** Waits for so many jobs to be completed. */
  async completed(count: number): Promise<void> {
    while ((await this.engine.jobs.counts()).completed < count) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const worker of [...this.#running]) await this.kill(worker);
    await this.engine.stop();
    await this.store.close();
    await (await this.#folder)[Symbol.asyncDispose]();
  }
}

async function enqueue({ engine }: Processes, name: string, count: number): Promise<string[]> {
  const items = Array.from({ length: count }, () => ({ job: name }));
  return (await engine.enqueueMany(items)).map(({ id }) => id);
}

/** Every job is completed, each once, and nothing else is left. */
async function check(processes: Processes, counted: readonly string[], all: number) {
  const kv = await Deno.openKv(processes.path);
  for (const id of counted) {
    const { value } = await kv.get<Deno.KvU64>(["audit", id]);
    assertEquals(value?.value, 1n, id);
  }
  const sections = new Set<unknown>();
  for await (const { key } of kv.list({ prefix: ["dispatch"] })) sections.add(key[1]);
  kv.close();
  assertEquals(
    [...sections].filter((s) => ["a", "d", "i", "r", "s", "u", "w"].includes(s as string)),
    [],
  );
  const { completed, ...others } = await processes.engine.jobs.counts();
  assertEquals(completed, all);
  assertEquals(new Set(Object.values(others)), new Set([0]));
}

describe("several processes on one KV file", () => {
  it("complete every job, each once, while one of them is killed", async () => {
    await using processes = await new Processes().open();
    const counted = await enqueue(processes, "counted", 600);
    await enqueue(processes, "noop", 3000);
    const [doomed] = await Promise.all([processes.worker(), processes.worker()]);
    await processes.completed(300);
    await processes.kill(doomed);
    counted.push(...await enqueue(processes, "counted", 200));
    await processes.worker();
    await processes.completed(3800);
    await check(processes, counted, 3800);
  });

  it("hear of each other's jobs without polling", async () => {
    await using processes = await new Processes().open();
    await processes.worker();
    for (let round = 0; round < 3; round++) {
      const { id } = await processes.engine.enqueue("noop", null);
      await processes.completed(round + 1);
      assertEquals((await processes.engine.jobs.get(id))?.state, "completed");
    }
  });
});
