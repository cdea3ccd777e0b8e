import { assertEquals, assertStringIncludes } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { defineJob } from "../../src/engine/definition.ts";
import type { ErrorCode } from "../../src/core/errors.ts";
import { defineWorkflow } from "../../src/workflow/definition.ts";
import { createExtension, type ExtensionOptions } from "../../src/extension/extension.ts";
import { codeOf, errorOf, Noop } from "../harness.ts";
import { make } from "./harness.ts";

/** What JavaScript can pass, and the code of the error. */
const REFUSED: [options: Record<string, unknown>, code: ErrorCode][] = [
  [{ concurrency: -1 }, "invalid_concurrency"],
  [{ concurrency: 1e9 }, "invalid_concurrency"],
  [{ concurrency: "5" }, "invalid_option"],
  [{ queues: [] }, "invalid_queue"],
  [{ queues: [""] }, "invalid_queue"],
  [{ queues: "default" }, "invalid_option"],
  [{ queueLimits: { a: { concurrency: 0 } } }, "invalid_concurrency"],
  [{ queueLimits: { a: { rate: 1 } } }, "invalid_option"],
  [{ pollInterval: "soon" }, "invalid_duration"],
  [{ pollInterval: 0 }, "invalid_duration"],
  [{ shutdownTimeout: null }, "invalid_option"],
  [{ heartbeatInterval: "20s" }, "invalid_option"],
  [{ retention: { dead_letters: "1d" } }, "invalid_option"],
  [{ strictNames: "yes" }, "invalid_option"],
  [{ basePath: "api" }, "invalid_option"],
  [{ groveDatabase: 3 }, "invalid_option"],
  [{ store: {} }, "invalid_option"],
  [{ store: null }, "invalid_option"],
  [{ registry: { databases: {} } }, "invalid_option"],
  [{ jobs: Noop }, "invalid_option"],
  [{ jobs: [{ name: "noop" }] }, "invalid_option"],
  [{ jobs: [Noop, defineJob({ name: "noop", handler: () => 1 })] }, "duplicate_job"],
  [{ extensions: [{}] }, "invalid_option"],
  [{ middleware: [null] }, "invalid_option"],
  [{ backoff: "1s" }, "invalid_option"],
  [{ auth: "secret" }, "invalid_option"],
  [{ auth: { bearer: undefined } }, "invalid_option"],
  [{ auth: { bearer: "" } }, "invalid_option"],
  [{ requireConfig: 1 }, "invalid_option"],
  [{ logger: {} }, "invalid_option"],
  [{ clock: Date }, "invalid_option"],
];

describe("createExtension()", () => {
  for (const [options, code] of REFUSED) {
    const name = Object.keys(options)[0];
    it(`refuses ${name}: ${String(JSON.stringify(options[name])).slice(0, 50)} (${code})`, async () => {
      assertEquals(await codeOf(() => make(options)), code);
    });
  }

  it("names the option, what it takes and what it got", async () => {
    const error = await errorOf(() => make({ queues: "default" }));
    assertEquals(
      error.message,
      'Cannot use the option queues: expected a list of names, found the text "default"',
    );
    const { message } = await errorOf(() => make({ pollInterval: "soon" }));
    assertEquals(message, 'Cannot read pollInterval as a duration: current value is "soon"');
  });

  it("names what does not belong in a list, and where it goes", async () => {
    const handler = () => Promise.resolve();
    const job = defineJob({ name: "job", handler });
    const workflow = defineWorkflow({ name: "workflow", handler });
    for (
      const [options, at, goes] of [
        [{ jobs: [job, workflow] }, '"jobs[1]"', "(workflows go to the option workflows)"],
        [{ workflows: [job] }, '"workflows[0]"', "(jobs go to the option jobs)"],
        [{ middleware: [handler, null] }, '"middleware[1]"', "a function, found null"],
        [{ extensions: [{}] }, '"extensions[0]"', "a lifecycle extension with a name"],
      ] as const
    ) {
      const { message } = await errorOf(() => make({ ...options }));
      assertStringIncludes(message, `the option ${at}: expected`);
      assertStringIncludes(message, goes);
    }
  });

  it("refuses an option that it does not know, and names the nearest", async () => {
    for (const [typed, known] of [["job", "jobs"], ["base_path", "basePath"], ["Store", "store"]]) {
      const error = await errorOf(() => make({ [typed]: 1 }));
      assertEquals(error.code, "invalid_option");
      assertEquals(error.hint, `Did you mean "${known}"?`);
    }
  });

  it("refuses crons, which this version does not have", async () => {
    const error = await errorOf(() => make({ crons: [] }));
    assertEquals(error.code, "invalid_option");
    assertStringIncludes(error.message, "the option crons: no such option");
  });

  it("refuses options that are no object", async () => {
    for (const options of [null, 7, "store", []]) {
      const call = () => createExtension(options as ExtensionOptions);
      assertEquals(await codeOf(call), "invalid_option");
    }
  });

  it("brings the base path into one form", () => {
    for (
      const [given, used] of [["/jobs", "/jobs"], ["/a/b/", "/a/b"], ["/", "/"], [
        "/a-b.c~/",
        "/a-b.c~",
      ]]
    ) {
      assertEquals(make({ basePath: given }).basePath, used);
    }
  });

  it("has its name, its version, its engine and its routes at once", () => {
    const ext = make({ jobs: [Noop] });
    assertEquals(ext.name, "dispatch");
    assertEquals(ext.version, "0.1.0");
    assertEquals(ext.app.routes.length > 0, true);
    assertEquals(typeof ext.engine.enqueue, "function");
  });
});
