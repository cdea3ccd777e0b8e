import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { createRegistry, type Handle } from "../../src/extension/registry.ts";
import { codeOf, errorOf } from "../harness.ts";

const client = { query: () => {} };

describe("createRegistry()", () => {
  it("keeps clients, text and functions by name, apart for databases and KVs", () => {
    const open = () => Promise.resolve(client);
    const registry = createRegistry({ databases: { main: client }, kvs: { main: "./main.kv" } })
      .addDatabase("other", "postgres://localhost/other")
      .addKv("made", open);
    assertEquals(registry.databases.names, ["main", "other"]);
    assertEquals(registry.kvs.names, ["main", "made"]);
    assertEquals(registry.databases.get("main").handle === client, true);
    assertEquals(registry.kvs.get("main"), { name: "main", handle: "./main.kv" });
    assertEquals(registry.kvs.get("made").handle === open, true);
  });

  it("refuses a name twice, also one that was given at first", async () => {
    const registry = createRegistry({ databases: { main: client } });
    const error = await errorOf(() => registry.addDatabase("main", client));
    assertEquals(error.code, "invalid_option");
    assertStringIncludes(error.message, 'database "main": the name is taken');
    assertEquals(await codeOf(() => registry.addKv("x", "a").addKv("x", "b")), "invalid_option");
  });

  it("refuses a handle that is empty, as an unset variable is", async () => {
    for (const handle of [undefined, null, "", 0, false]) {
      const error = await errorOf(() => createRegistry().addDatabase("main", handle as Handle));
      assertEquals(error.code, "invalid_option");
      assertStringIncludes(error.message, 'database "main"');
      const entries = { kvs: { main: handle as Handle } };
      assertEquals(await codeOf(() => createRegistry(entries)), "invalid_option");
    }
  });

  it("refuses an empty name", async () => {
    assertEquals(await codeOf(() => createRegistry().addKv("", client)), "invalid_option");
    const unnamed = undefined as unknown as string;
    assertEquals(await codeOf(() => createRegistry().addKv(unnamed, client)), "invalid_option");
  });

  it("refuses entries of an unknown kind, and names the nearest", async () => {
    const entries = { database: { main: client } };
    const error = await errorOf(() => createRegistry(entries as never));
    assertEquals(error.code, "invalid_option");
    assertEquals(error.hint, 'Did you mean "databases"?');
    assertEquals(await codeOf(() => createRegistry({ kvs: [client] as never })), "invalid_option");
    assertEquals(await codeOf(() => createRegistry(null as never)), "invalid_option");
  });
});

describe("looking up", () => {
  it('"" finds the entry named default', () => {
    const { databases } = createRegistry({ databases: { a: client, default: "url" } });
    assertEquals(databases.get(""), { name: "default", handle: "url" });
  });

  it('"" finds the only entry, whatever its name', () => {
    assertEquals(createRegistry({ kvs: { jobs: "path" } }).kvs.get("").name, "jobs");
  });

  it('"" among several of which none is named default lists their names', async () => {
    const { databases, kvs } = createRegistry({
      databases: { a: client, b: client },
      kvs: { c: client, d: client },
    });
    const error = await errorOf(() => databases.get(""));
    assertEquals(error.code, "unknown_database");
    assertEquals(error.message, 'Cannot find the default database: the registry holds "a" and "b"');
    assertStringIncludes(error.hint, 'groveDatabase: "a"');
    assertEquals(await codeOf(() => kvs.get("")), "unknown_kv");
  });

  it("a name that is not there lists those that are, and the nearest", async () => {
    const { databases, kvs } = createRegistry({
      databases: { default: client, reports: client },
      kvs: { cache: client },
    });
    const error = await errorOf(() => databases.get("report"));
    assertEquals(error.code, "unknown_database");
    assertEquals(
      error.message,
      'Cannot find database "report": the registry holds "default" and "reports"',
    );
    assertEquals(error.hint, 'Did you mean "reports"?');
    assertEquals(await codeOf(() => kvs.get("default")), "unknown_kv");
  });

  it("in an empty registry says how to add one", async () => {
    const { databases, kvs } = createRegistry();
    for (const name of ["", "jobs"]) {
      const error = await errorOf(() => databases.get(name));
      assertEquals(error.code, "unknown_database");
      assertStringIncludes(error.hint, "registry.addDatabase(name, handle)");
      assertEquals(await codeOf(() => kvs.get(name)), "unknown_kv");
    }
  });

  it("does not find what every object has", async () => {
    const { databases } = createRegistry({ databases: { a: client } });
    assertEquals(await codeOf(() => databases.get("constructor")), "unknown_database");
  });
});
