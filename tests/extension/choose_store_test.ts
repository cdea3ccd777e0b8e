import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { Openers } from "../../src/extension/choose_store.ts";
import { createRegistry } from "../../src/extension/registry.ts";
import { memoryStore } from "../../src/store/memory/store.ts";
import { codeOf, errorOf } from "../harness.ts";
import { make, makeFrom } from "./harness.ts";

const entries = () =>
  createRegistry({
    databases: { default: "postgres://default", jobs: "postgres://jobs" },
    kvs: { default: "default.kv", jobs: "jobs.kv" },
  });

/** Openers that open nothing, and tell what they were asked. */
function openers(): Openers & { readonly asked: string[] } {
  const asked: string[] = [];
  const open = (kind: string) => (handle: unknown, name: string) => {
    asked.push(`${kind} ${name} ${handle}`);
    const store = { ...memoryStore(), name: kind };
    return Promise.resolve({ store, close: () => Promise.resolve() });
  };
  return { asked, database: open("database"), kv: open("kv") };
}

/** Starts an extension with these options and says which store it took. */
async function chosen(options: Record<string, unknown>) {
  const opening = openers();
  await using ext = make({ registry: entries(), ...options }, { openers: opening, directory: "-" });
  await ext.start();
  return [(await ext.health()).store, ...opening.asked];
}

describe("the store", () => {
  it("1: is the one that was passed, and the registry is ignored", async () => {
    const store = { ...memoryStore(), name: "mine" };
    assertEquals(await chosen({ store, groveDatabase: "no such", groveKv: "jobs" }), ["mine"]);
  });

  it("2: is the database that groveDatabase names", async () => {
    const opened = ["database", "database jobs postgres://jobs"];
    assertEquals(await chosen({ groveDatabase: "jobs" }), opened);
    assertEquals(await chosen({ config: { grove_database: "jobs" } }), opened);
  });

  it('2: is the default database where that is ""', async () => {
    const opened = ["database", "database default postgres://default"];
    assertEquals(await chosen({ groveDatabase: "" }), opened);
    assertEquals(await chosen({ config: { grove_database: "" } }), opened);
    const registry = createRegistry({ databases: { only: "url" } });
    assertEquals(await chosen({ registry, groveDatabase: "" }), ["database", "database only url"]);
  });

  it("2: is what DATABASE_URL names, where the registry holds no database", async () => {
    const opening = openers();
    const environment = (name: string) => name === "DATABASE_URL" ? "postgres://env" : undefined;
    for (const groveDatabase of ["", "default"]) {
      await using ext = make({ groveDatabase }, { openers: opening, environment });
      await ext.start();
    }
    assertEquals(opening.asked, Array(2).fill("database default postgres://env"));
    const named = make({ groveDatabase: "jobs" }, { openers: opening, environment });
    assertEquals(await codeOf(() => named.start()), "unknown_database");
    const registry = createRegistry({ databases: { a: "postgres://a", b: "postgres://b" } });
    const several = make({ registry, groveDatabase: "" }, { openers: opening, environment });
    assertEquals(await codeOf(() => several.start()), "unknown_database");
    const unset = make({ groveDatabase: "" }, { openers: opening, environment: () => undefined });
    const error = await errorOf(() => unset.start());
    assertEquals(error.code, "unknown_database");
    assertStringIncludes(error.hint, "registry.addDatabase(name, handle), or set DATABASE_URL");
  });

  it("2: comes before 3, wherever each was set", async () => {
    const opened = ["database", "database jobs postgres://jobs"];
    assertEquals(await chosen({ groveDatabase: "jobs", groveKv: "jobs" }), opened);
    assertEquals(await chosen({ groveKv: "jobs", config: { grove_database: "jobs" } }), opened);
  });

  it("3: is the KV that groveKv names", async () => {
    const opened = ["kv", "kv jobs jobs.kv"];
    assertEquals(await chosen({ groveKv: "jobs" }), opened);
    assertEquals(await chosen({ config: { grove_kv: "jobs" } }), opened);
    assertEquals(await chosen({ groveKv: "" }), ["kv", "kv default default.kv"]);
  });

  it("4: is in memory where nothing was chosen, whatever the registry holds", async () => {
    assertEquals(await chosen({}), ["memory"]);
    assertEquals(await chosen({ registry: undefined }), ["memory"]);
  });

  it("is chosen at start: the registry may be added to until then", async () => {
    const registry = createRegistry();
    const opening = openers();
    await using ext = make({ registry, groveKv: "late" }, { openers: opening });
    registry.addKv("late", "late.kv");
    await ext.start();
    assertEquals(opening.asked, ["kv late late.kv"]);
  });

  it("whose name nobody registered is an error at start that lists the names", async () => {
    const database = make({ registry: entries(), groveDatabase: "job" });
    const error = await errorOf(() => database.start());
    assertEquals(error.code, "unknown_database");
    assertStringIncludes(error.message, '"default" and "jobs"');
    assertEquals(error.hint, 'Did you mean "jobs"?');
    assertEquals(await codeOf(() => make({ groveKv: "" }).start()), "unknown_kv");
    const fromYaml = makeFrom({ "app.yml": "dispatch: {grove_kv: x}\n" }, { registry: entries() });
    assertEquals(await codeOf(() => fromYaml.start()), "unknown_kv");
  });
});
