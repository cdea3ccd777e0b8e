import { assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { silentLogger } from "../../src/core/logger.ts";
import { Engine } from "../../src/engine/engine.ts";
import { postgresStore } from "../../src/store/postgres/store.ts";
import { example } from "../examples/run.ts";
import { kvStore } from "../../src/store/kv/store.ts";
import type { Store } from "../../src/store/store.ts";
import { tempFolder } from "../kv.ts";
import { createDatabase } from "../postgres.ts";

/** A worker as a process of its own. */
class WorkerProcess implements AsyncDisposable {
  readonly #process: Deno.ChildProcess;
  readonly #stdout: ReadableStreamDefaultReader<string>;
  #printed = "";

  constructor(env: Record<string, string>) {
    this.#process = example("tests/scenarios/worker.ts", {
      env,
      stderr: "inherit",
    }).spawn();
    this.#stdout = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Reads what it prints until the text appears. */
  async prints(text: string): Promise<void> {
    while (!this.#printed.includes(text)) {
      const { done, value } = await this.#stdout.read();
      if (done) throw new Error(`the worker ended before it printed ${text}: ${this.#printed}`);
      this.#printed += value;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch { /* it is dead already */ }
    await this.#process.status;
    await this.#stdout.cancel();
  }
}

/** A store, and what has a worker process use the same. */
interface Shared extends AsyncDisposable {
  readonly store: Store;
  readonly env: Record<string, string>;
}

async function inPostgres(): Promise<Shared> {
  const database = await createDatabase();
  const store = postgresStore(database.url, { maxConnections: 2 });
  return {
    store,
    env: { DATABASE_URL: database.url },
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

async function inKv(): Promise<Shared> {
  const folder = await tempFolder();
  const path = `${folder.path}/jobs.kv`;
  return {
    store: kvStore(path),
    env: { KV_PATH: path },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

async function isFollowed(open: () => Promise<Shared>): Promise<void> {
  await using shared = await open();
  const { store, env } = shared;
  await store.migrate();
  const engine = new Engine({ concurrency: 0, logger: silentLogger });
  await engine.start(store);
  const { id } = await engine.enqueue("stubborn", null);
  {
    await using doomed = new WorkerProcess(env);
    await doomed.prints(`started ${id}`);
    assertEquals((await engine.jobs.get(id))?.state, "running");
  }
  assertEquals((await engine.jobs.get(id))?.state, "running", "nobody has noticed yet");
  await using _heir = new WorkerProcess(env);
  assertEquals(await engine.result(id, { timeout: "60s" }), { attempt: 2 });
  const job = await engine.jobs.get(id);
  assertEquals([job?.retryCount, await engine.dlq.count()], [0, 0], "a crash is no failure");
  await engine.stop();
  await store.close();
}

describe("a worker that is killed with SIGKILL", () => {
  it("in the middle of a job leaves it to the next one, once its lease has run out", async () => {
    await isFollowed(inPostgres);
  });

  it("in the middle of a job in a KV leaves it to the next one as well", async () => {
    await isFollowed(inKv);
  });
});
