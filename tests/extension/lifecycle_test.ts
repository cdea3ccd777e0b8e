import { assertEquals, assertRejects } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { DispatchError } from "../../src/core/errors.ts";
import { createRegistry } from "../../src/extension/registry.ts";
import { memoryStore } from "../../src/store/memory/store.ts";
import { codeOf, gate, intercept, Noop, turns } from "../harness.ts";
import { make } from "./harness.ts";

/** A store that tells which of its calls that open and close came, and fails those that it is told to. */
function watchedStore(failing: { name: string; times: number } = { name: "", times: 0 }) {
  const calls: string[] = [];
  let left = failing.times;
  const inner = memoryStore();
  const store = intercept(inner, (call, proceed) => {
    if (["migrate", "close", "queues.configure"].includes(call.name)) calls.push(call.name);
    if (call.name === failing.name && left-- > 0) {
      return Promise.reject(new Error("the disk is full"));
    }
    return proceed();
  });
  return { calls, store };
}

/** An extension whose store comes from a registry: Dispatch opens it, and has to close it. */
function withOpened(store: ReturnType<typeof memoryStore>, options: Record<string, unknown> = {}) {
  let opened = 0;
  const open = () => {
    opened++;
    return Promise.resolve({ store, close: () => store.close() });
  };
  const registry = createRegistry({ databases: { default: "url" } });
  const ext = make({ registry, groveDatabase: "", ...options }, {
    openers: { database: open, kv: open },
  });
  return { ext, opened: () => opened };
}

describe("start()", () => {
  it("has the engine work", async () => {
    await using ext = make({ jobs: [Noop] });
    await ext.start();
    const job = await ext.engine.enqueue(Noop, undefined);
    assertEquals(await ext.engine.result(job.id, { timeout: "5s" }), null);
  });

  it("takes definitions that are registered before it and after", async () => {
    await using ext = make();
    await ext.start();
    ext.engine.register(Noop);
    const job = await ext.engine.enqueue(Noop, undefined);
    assertEquals(await ext.engine.result(job.id, { timeout: "5s" }), null);
  });

  it("starts once, however often and however concurrently it is called", async () => {
    const { store, calls } = watchedStore();
    const { ext, opened } = withOpened(store);
    await Promise.all([ext.start(), ext.start(), ext.start()]);
    await ext.start();
    assertEquals([opened(), calls], [1, ["migrate"]]);
    await ext.stop();
  });

  it("migrates, unless disableMigrate", async () => {
    for (const disableMigrate of [false, true]) {
      const { store, calls } = watchedStore();
      await using ext = make({ store, disableMigrate });
      await ext.start();
      assertEquals(calls, disableMigrate ? [] : ["migrate"]);
    }
  });

  it("that fails in the migration closes what it opened, and may be tried again", async () => {
    const { store, calls } = watchedStore({ name: "migrate", times: 1 });
    const { ext, opened } = withOpened(store, { jobs: [Noop] });
    await assertRejects(() => ext.start(), Error, "the disk is full");
    assertEquals(calls, ["migrate", "close"]);
    assertEquals(await codeOf(() => ext.engine.enqueue(Noop, undefined)), "not_started");

    await ext.start();
    assertEquals(opened(), 2);
    await ext.engine.enqueue(Noop, undefined);
    await ext.stop();
    assertEquals(calls, ["migrate", "close", "migrate", "close"]);
  });

  it("that fails in the engine closes what it opened, and may be tried again", async () => {
    const { store, calls } = watchedStore({ name: "queues.configure", times: 1 });
    const queueLimits = { mail: { concurrency: 1 } };
    const { ext } = withOpened(store, { jobs: [Noop], queueLimits });
    await assertRejects(() => ext.start(), Error, "the disk is full");
    assertEquals(calls, ["migrate", "queues.configure", "close"]);
    assertEquals(await codeOf(() => ext.engine.enqueue(Noop, undefined)), "not_started");

    await ext.start();
    assertEquals(calls.slice(3), ["migrate", "queues.configure"]);
    const job = await ext.engine.enqueue(Noop, undefined);
    assertEquals(await ext.engine.result(job.id, { timeout: "5s" }), null);
    await ext.stop();
  });

  it("that fails fails for everyone who waits for it", async () => {
    const { store } = watchedStore({ name: "migrate", times: 1 });
    const { ext } = withOpened(store);
    const results = await Promise.allSettled([ext.start(), ext.start()]);
    assertEquals(results.map(({ status }) => status), ["rejected", "rejected"]);
    await ext.stop();
  });

  it("tells the reason even where what was opened does not close", async () => {
    const { store } = watchedStore({ name: "migrate", times: 1 });
    const { ext } = withOpened({ ...store, close: () => Promise.reject(new Error("still busy")) });
    await assertRejects(() => ext.start(), Error, "the disk is full");
  });

  it("may be mended by adding to the registry", async () => {
    const registry = createRegistry();
    const open = () => Promise.resolve({ store: memoryStore(), close: () => Promise.resolve() });
    const openers = { database: open, kv: open };
    await using ext = make({ registry, groveDatabase: "jobs" }, { openers });
    assertEquals(await codeOf(() => ext.start()), "unknown_database");
    registry.addDatabase("jobs", "url");
    await ext.start();
  });

  it("after stop() is an error", async () => {
    const ext = make();
    await ext.start();
    await ext.stop();
    assertEquals(await codeOf(() => ext.start()), "stopped");
    const never = make();
    await never.stop();
    assertEquals(await codeOf(() => never.start()), "stopped");
  });
});

describe("stop()", () => {
  it("stops once, however often and however concurrently it is called", async () => {
    const { store, calls } = watchedStore();
    const { ext } = withOpened(store);
    await ext.start();
    await Promise.all([ext.stop(), ext.stop()]);
    await ext.stop();
    assertEquals(calls, ["migrate", "close"]);
  });

  it("does not close a store that was passed in", async () => {
    const { store, calls } = watchedStore();
    const ext = make({ store });
    await ext.start();
    await ext.stop();
    assertEquals(calls, ["migrate"]);
  });

  it("leaves such a store to the next extension, with its jobs", async () => {
    const store = memoryStore();
    const first = make({ store, concurrency: 0 });
    await first.start();
    const { id } = await first.engine.enqueue(Noop, undefined);
    await first.stop();
    await using second = make({ store, jobs: [Noop] });
    await second.start();
    assertEquals(await second.engine.result(id, { timeout: "5s" }), null);
  });

  it("before start() does nothing, twice", async () => {
    const { store, calls } = watchedStore();
    const { ext } = withOpened(store);
    await ext.stop();
    await ext.stop();
    assertEquals(calls, []);
    assertEquals(await codeOf(() => ext.engine.enqueue(Noop, undefined)), "stopped");
  });

  it("during start() waits for it and then stops", async () => {
    const migrated = gate();
    const { store, calls } = watchedStore();
    const slow = { ...store, migrate: () => migrated.promise };
    const { ext } = withOpened(slow);
    const starting = ext.start();
    const stopping = ext.stop();
    assertEquals(await codeOf(() => ext.start()), "stopped");
    await turns(3);
    assertEquals(calls, []);
    migrated.open();
    await starting;
    await stopping;
    assertEquals(calls, ["close"]);
    assertEquals(await codeOf(() => ext.engine.enqueue(Noop, undefined)), "stopped");
  });

  it("during a start() that fails stops all the same", async () => {
    const { store } = watchedStore({ name: "migrate", times: 1 });
    const { ext } = withOpened(store);
    const starting = ext.start().catch((error) => error.message);
    await ext.stop();
    assertEquals(await starting, "the disk is full");
    assertEquals(await codeOf(() => ext.start()), "stopped");
  });

  it("calls onShutdown, once", async () => {
    let shutdowns = 0;
    const ext = make({ extensions: [{ name: "hook", onShutdown: () => shutdowns++ }] });
    await ext.start();
    await ext.stop();
    await ext.stop();
    assertEquals(shutdowns, 1);
  });

  it("is what leaving the scope of `await using` does", async () => {
    const { store, calls } = watchedStore();
    const { ext } = withOpened(store);
    {
      await using scoped = ext;
      await scoped.start();
    }
    assertEquals(calls, ["migrate", "close"]);
  });

  it("closes the store even where the engine does not stop well", async () => {
    const { store, calls } = watchedStore();
    const { ext } = withOpened(store);
    await ext.start();
    const real = ext.engine.stop.bind(ext.engine);
    ext.engine.stop = async () => {
      await real();
      throw new DispatchError("internal", "Cannot stop");
    };
    assertEquals(await codeOf(() => ext.stop()), "internal");
    assertEquals(calls, ["migrate", "close"]);
  });
});
