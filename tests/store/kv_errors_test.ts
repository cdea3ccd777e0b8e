/** What a user sees of a KV that cannot be had. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import type { DispatchError } from "../../src/core/errors.ts";
import type { KvClient } from "../../src/store/kv/client.ts";
import { kvStore } from "../../src/store/kv/store.ts";
import { errorOf } from "../harness.ts";
import { newJob } from "../../src/testing/suite/context.ts";
import { CLAIM, tempFolder } from "../kv.ts";

const STORE = new URL("../../src/store/kv/store.ts", import.meta.url).href;

/** The error of opening a KV in a process with these flags. */
async function errorWith(flags: string[], path: string): Promise<DispatchError> {
  const script = `
    import { kvStore } from ${JSON.stringify(STORE)};
    const error = await kvStore(${JSON.stringify(path)}).migrate().catch((error) => error);
    console.log(JSON.stringify({ ...error, message: error?.message }));`;
  await using folder = await tempFolder();
  const file = `${folder.path}/script.ts`;
  await Deno.writeTextFile(file, script);
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-check", "--no-config", "--no-lock", "--no-prompt"],
      ...["--import-map", new URL("../../scripts/npm_imports.json", import.meta.url).pathname],
      ...flags,
      file,
    ],
  }).output();
  const text = new TextDecoder();
  const line = text.decode(stdout).trim();
  assert(line.startsWith("{"), text.decode(stderr));
  return JSON.parse(line);
}

describe("a KV that cannot be opened", () => {
  it("for want of the flag is an error that names it, and the line of deno.json", async () => {
    const error = await errorWith(["-A"], ":memory:");
    assertEquals(error.code, "store_not_available");
    assertStringIncludes(error.hint, "--unstable-kv");
    assertStringIncludes(error.hint, '"unstable": ["kv"]');
  });

  it("for want of a permission is an error that names both", async () => {
    await using folder = await tempFolder();
    const path = `${folder.path}/jobs.kv`;
    for (const given of [[], [`--allow-read=${path}`]]) {
      const error = await errorWith(["--unstable-kv", ...given], path);
      assertEquals(error.code, "store_unreachable");
      assertStringIncludes(error.hint, `--allow-read=${path} --allow-write=${path}`);
    }
  });

  it("for its path is an error that says what must be there", async () => {
    const error = await errorOf(() => kvStore("/no/such/folder/jobs.kv").migrate());
    assertEquals(error.code, "store_unreachable");
    assertStringIncludes(error.message, "/no/such/folder/jobs.kv");
    assertStringIncludes(error.hint, "folder");
  });

  it("since it is none is an error that lists what is", async () => {
    for (const kv of [{}, null, 7, () => {}]) {
      const error = await errorOf(() => kvStore(kv as unknown as KvClient));
      assertEquals(error.code, "unsupported_client");
      assertStringIncludes(error.hint, "@deno/kv");
    }
  });
});

describe("a KV handle that was closed", () => {
  it("is an error that says so, from every call", async () => {
    const kv = await Deno.openKv(":memory:");
    const store = kvStore(kv);
    await store.jobs.enqueue([newJob()]);
    const [{ lease }] = await store.jobs.claim(CLAIM);
    kv.close();
    const calls: [string, () => Promise<unknown>][] = [
      ["ping", () => store.ping()],
      ["enqueue", () => store.jobs.enqueue([newJob()])],
      ["claim", () => store.jobs.claim(CLAIM)],
      ["settle", () => store.jobs.settle([{ lease, outcome: { kind: "complete", result: "1" } }])],
      ["list", () => store.jobs.list({ limit: 1, offset: 0 })],
      ["rescue", () => store.jobs.rescue(1)],
      ["counts", () => store.jobs.counts()],
    ];
    for (const [name, call] of calls) {
      const error = await errorOf(call);
      assertEquals(error.code, "store_unreachable", name);
      assertStringIncludes(error.message, "closed");
    }
  });
});

describe("a prefix of keys", () => {
  it("that another application uses is refused", async () => {
    const kv = await Deno.openKv(":memory:");
    await kv.set(["dispatch", "orders", 7], "theirs");
    const error = await errorOf(() => kvStore(kv).migrate());
    assertEquals(error.code, "invalid_option");
    assertStringIncludes(error.message, '["dispatch","orders",7]');
    assertStringIncludes(error.hint, "prefix");
    const ours = kvStore(kv, { prefix: "jobs" });
    await ours.migrate();
    await ours.jobs.enqueue([newJob()]);
    await kvStore(kv, { prefix: "jobs" }).checkSchema!();
    assertEquals((await kv.get(["dispatch", "orders", 7])).value, "theirs");
    kv.close();
  });

  it("of which the mark is somebody else's is refused as well", async () => {
    const kv = await Deno.openKv(":memory:");
    for (const mark of ["theirs", { application: "x" }, new Uint8Array([1])]) {
      await kv.set(["dispatch", "v"], mark);
      assertEquals((await errorOf(() => kvStore(kv).migrate())).code, "invalid_option");
    }
    kv.close();
  });

  it("of a later layout is refused", async () => {
    const kv = await Deno.openKv(":memory:");
    const mark = JSON.stringify({ application: "dispatch", layout: 2 });
    await kv.set(["dispatch", "v"], new TextEncoder().encode(mark));
    assertEquals((await errorOf(() => kvStore(kv).checkSchema!())).code, "schema_newer");
    kv.close();
  });

  it("that is no text of a reasonable length is refused", async () => {
    for (const prefix of ["", "two words", "x".repeat(101), 7 as unknown as string]) {
      assertEquals((await errorOf(() => kvStore(":memory:", { prefix }))).code, "invalid_option");
    }
    const often = { wakeIntervalMs: -1 };
    assertEquals((await errorOf(() => kvStore(":memory:", often))).code, "invalid_option");
  });
});
