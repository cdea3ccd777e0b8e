/** Many parents with children at once, on several engines: on any store that keeps runs. */

import { assertEquals } from "@std/assert";
import { Engine } from "../../src/engine/engine.ts";
import type { Store } from "../../src/store/store.ts";
import { defineWorkflow } from "../../src/workflow/definition.ts";
import { RecordingLogger } from "../harness.ts";

export const Child = defineWorkflow({
  name: "child",
  handler: async (n: number, step) => {
    if (n % 3 === 0) await step.sleep("nap", 5);
    if (n % 5 === 0) await step.waitForEvent("go", { key: "all" });
    return await step.run("square", () => n * n);
  },
});

const Family = defineWorkflow({
  name: "family",
  handler: async (n: number, step) => {
    const [squares, told] = await Promise.all([
      step.fanOut("squares", Child, [n, n + 1, n + 2, n + 3], { concurrency: 3 }),
      step.waitForEvent("told"),
    ]);
    return squares.reduce((sum, square) => sum + square) + Number(told);
  },
});

/** Runs so many families on an engine for each store, and closes them; nothing may have to be tried again. */
export async function runFamilies(stores: readonly Store[], families: number): Promise<void> {
  const log = new RecordingLogger();
  await stores[0].migrate();
  const engines = stores.map(() =>
    new Engine({ concurrency: 40, pollInterval: "100ms", maxPollInterval: "500ms", logger: log })
  );
  for (const [i, engine] of engines.entries()) {
    engine.register(Child, Family);
    await engine.start(stores[i]);
  }
  const engineOf = (n: number) => engines[n % engines.length];
  const inputs = Array.from({ length: families }, (_, i) => i);
  const runs = await Promise.all(inputs.map((n) => engineOf(n).startWorkflow(Family, n)));
  await Promise.all(inputs.map((n) => engineOf(n + 1).triggerEvent(runs[n].id, "told", 1000)));
  await engines[0].publishEvent("go", null, { key: "all" });
  const results = await Promise.all(
    runs.map(({ id }, n) => engineOf(n).result<number>(id, { timeout: "60s" })),
  );
  const squares = (n: number) => n ** 2 + (n + 1) ** 2 + (n + 2) ** 2 + (n + 3) ** 2;
  assertEquals(results, inputs.map((n) => squares(n) + 1000));
  const told = log.lines.filter(({ level }) => level === "warn" || level === "error");
  assertEquals(told, [], "something was tried again");
  const { workflows } = await engines[0].stats();
  assertEquals([workflows.completed, workflows.running], [5 * families, 0]);
  await Promise.all(engines.map((engine) => engine.stop()));
  await Promise.all(stores.map((store) => store.close()));
}
