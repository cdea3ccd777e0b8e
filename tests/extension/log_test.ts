import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { messageOf } from "../../src/core/errors.ts";
import { createRegistry } from "../../src/extension/registry.ts";
import { memoryStore } from "../../src/store/memory/store.ts";
import { RecordingLogger } from "../harness.ts";
import { make } from "./harness.ts";

/** The warnings of a life with two starts and two stops. */
async function warnings(options: Record<string, unknown>): Promise<string[]> {
  const logger = new RecordingLogger();
  const open = () => Promise.resolve({ store: memoryStore(), close: () => Promise.resolve() });
  const ext = make({ logger, ...options }, { openers: { database: open, kv: open } });
  assertEquals(logger.lines, []); // nothing is said before start
  await ext.start();
  await ext.start();
  await ext.stop();
  await ext.stop();
  return logger.lines.filter(({ level }) => level === "warn").map(({ message }) => message);
}

const auth = { bearer: "secret" };
const databases = { jobs: "postgres://localhost/jobs" };
const kvs = { cache: "./cache.kv" };

describe("at start one warning", () => {
  it("says that nothing in memory survives a restart", async () => {
    const [memory, ...others] = await warnings({ auth });
    assertStringIncludes(memory, "nothing survives a restart");
    assertStringIncludes(memory, "set groveKv, groveDatabase or `store`");
    assertEquals(others, []);
  });

  it("says how to choose a registered database, or else a KV", async () => {
    const [database] = await warnings({ auth, registry: createRegistry({ databases, kvs }) });
    assertStringIncludes(database, 'groveDatabase: "jobs"');
    const [kv] = await warnings({ auth, registry: createRegistry({ kvs }) });
    assertStringIncludes(kv, 'groveKv: "cache"');
  });

  it("says that the routes are open", async () => {
    const [open, ...others] = await warnings({ store: memoryStore(), basePath: "/jobs" });
    assertStringIncludes(open, "the routes under /jobs are open to everyone");
    assertEquals(others, []);
  });

  it("says that groveKv is not used next to groveDatabase", async () => {
    const registry = createRegistry({ databases, kvs });
    const [unused, ...others] = await warnings({ auth, registry, groveDatabase: "", groveKv: "" });
    assertStringIncludes(unused, "groveKv is not used");
    assertEquals(others, []);
  });

  it("comes after a start that failed only once it works", async () => {
    const logger = new RecordingLogger();
    let failing = true;
    const migrate = () => failing ? Promise.reject(new Error("down")) : Promise.resolve();
    await using ext = make({ logger, store: { ...memoryStore(), migrate } });
    await ext.start().catch(() => {});
    assertEquals(logger.count("open to everyone"), 0);
    failing = false;
    await ext.start();
    assertEquals(logger.count("open to everyone"), 1);
  });
});

describe("no warning", () => {
  it("is given where a store was chosen and the routes are guarded or off", async () => {
    const store = memoryStore();
    const registry = createRegistry({ databases, kvs });
    const guard = async (_c: unknown, next: () => Promise<void>) => await next();
    assertEquals(await warnings({ store, auth }), []);
    assertEquals(await warnings({ store, auth: guard }), []);
    assertEquals(await warnings({ store, disableRoutes: true }), []);
    assertEquals(await warnings({ registry, groveDatabase: "jobs", auth }), []);
    assertEquals(await warnings({ registry, groveKv: "", auth }), []);
    // A store that was passed in may be in memory: whoever passed it knows.
    assertEquals(await warnings({ store, groveDatabase: "x", groveKv: "y", auth }), []);
  });
});

describe("the log of a start", () => {
  it("that fails says why, and what to do about it", async () => {
    const logger = new RecordingLogger();
    const registry = createRegistry({ databases });
    await using ext = make({ logger, registry, groveDatabase: "jobz" });
    await ext.start().catch(() => {});
    const [{ level, message, fields }, ...others] = logger.lines;
    assertEquals([level, message, others], ["error", "could not start", []]);
    assertEquals([fields.code, fields.hint], ["unknown_database", 'Did you mean "jobs"?']);
    assertStringIncludes(messageOf(fields.error), 'Cannot find database "jobz"');
  });

  it("names version, store and where the configuration is from", async () => {
    const logger = new RecordingLogger();
    await using ext = make({ logger, config: { concurrency: 1 }, auth });
    await ext.start();
    const started = logger.lines.find(({ message }) => message === "started");
    assertEquals(started?.fields, {
      version: "0.1.0",
      store: "memory",
      config: "the option config",
    });
  });
});
