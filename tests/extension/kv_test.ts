import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { defineJob } from "../../src/engine/definition.ts";
import { createRegistry, type Handle } from "../../src/extension/registry.ts";
import { codeOf, errorOf } from "../harness.ts";
import { tempFolder } from "../kv.ts";
import { make } from "./harness.ts";

const Double = defineJob({ name: "double", handler: (n: number) => 2 * n });

/** Runs one job on an extension whose only KV is this one. */
async function runOn(handle: Handle): Promise<unknown> {
  const registry = createRegistry({ kvs: { only: handle } });
  await using ext = make({ registry, groveKv: "", jobs: [Double] });
  await ext.start();
  assertEquals((await ext.health()).store, "kv");
  const { id } = await ext.engine.enqueue(Double, 21);
  return await ext.engine.result(id, { timeout: "20s" });
}

describe("a registered KV", () => {
  it("may be a path, which is opened and closed", async () => {
    await using folder = await tempFolder();
    assertEquals(await runOn(`${folder.path}/jobs.kv`), 42);
    assertEquals(await runOn(`${folder.path}/jobs.kv`), 42, "it is there the next time");
  });

  it("may be an open KV, which stays open", async () => {
    const kv = await Deno.openKv(":memory:");
    assertEquals(await runOn(kv), 42);
    await kv.get(["it is open"]);
    kv.close();
  });

  it("may be a function that returns one, which is closed", async () => {
    let made: Deno.Kv | undefined;
    assertEquals(await runOn(async () => made = await Deno.openKv(":memory:")), 42);
    await assertRejects(() => made!.get(["it is closed"]));
    assertEquals(await runOn(() => ":memory:"), 42);
  });

  it("may be chosen in the configuration", async () => {
    await using ext = make({
      registry: createRegistry({ kvs: { jobs: ":memory:", cache: "unused.kv" } }),
      config: { grove_kv: "jobs" },
    });
    await ext.start();
    assertEquals((await ext.health()).store, "kv");
  });

  it("of an unknown kind is an error that lists the supported ones", async () => {
    const registry = createRegistry({ kvs: { odd: { get() {} } } });
    const error = await errorOf(() => make({ registry, groveKv: "odd" }).start());
    assertEquals(error.code, "unsupported_client");
    assertStringIncludes(error.hint, "@deno/kv");
  });

  it("that its function cannot open is an error that names it", async () => {
    const registry = createRegistry({ kvs: { far: () => Promise.reject(new Error("no disk")) } });
    const error = await errorOf(() => make({ registry, groveKv: "far" }).start());
    assertEquals(error.code, "store_unreachable");
    assertEquals(error.message, 'Cannot open KV "far": no disk');
  });

  it("that cannot be opened is an error that names its path", async () => {
    const registry = createRegistry({ kvs: { far: "/no/such/folder/jobs.kv" } });
    assertEquals(
      await codeOf(() => make({ registry, groveKv: "far" }).start()),
      "store_unreachable",
    );
  });
});
