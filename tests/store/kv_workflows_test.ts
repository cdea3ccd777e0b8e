/** Workflows of engines on Deno KV. */

import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import { silentLogger } from "../../mod.ts";
import type { Clock } from "../../src/core/clock.ts";
import { Engine } from "../../src/engine/engine.ts";
import { openKv } from "../../src/store/kv/open.ts";
import { kvStore } from "../../src/store/kv/store.ts";
import { tempFolder, troubled } from "../kv.ts";
import { audit } from "../kv_audit.ts";
import { Child, runFamilies } from "../workflow/families.ts";
import { program } from "../workflow/programs.ts";
import { crashes, Trial } from "../workflow/trial.ts";

/** KVs that trials stand on. */
const KVS = [
  { what: "", numRuns: 40, open: () => openKv(":memory:") },
  {
    what: ", where a commit takes 10 checks and is locked now and then",
    numRuns: 20,
    open: async () => {
      let commits = 0;
      const before = () => {
        if (++commits % 7 === 3) throw new TypeError("database is locked");
      };
      return troubled(await openKv(":memory:"), { maxChecks: 10, before });
    },
  },
];

describe("workflows on Deno KV", () => {
  it("start with the caller's atomic operation, or not at all", async () => {
    const kv = await Deno.openKv(":memory:");
    const store = kvStore(kv);
    await store.migrate();
    const engine = new Engine({ concurrency: 2, logger: silentLogger });
    engine.register(Child);
    await engine.start(store);
    const [kept, dropped, failing] = [
      kv.atomic().set(["order"], 1),
      kv.atomic(),
      kv.atomic().check({ key: ["order"], versionstamp: null }),
    ];
    const started = [];
    for (const tx of [kept, dropped, failing]) {
      started.push(await engine.startWorkflow(Child, 2, { tx }));
    }
    assertEquals(await engine.runs.get(started[0].id), null, "nothing is committed yet");
    await kept.commit();
    assertEquals((await failing.commit()).ok, false);
    assertEquals(await engine.result(started[0].id), 4);
    for (const { id } of started.slice(1)) assertEquals(await engine.runs.get(id), null);
    assertEquals((await engine.stats()).workflows.completed, 1);
    await engine.stop();
    await audit(kv);
    kv.close();
  });

  it("of many families at once, on two workers of one file, end with what they are to", async () => {
    await using folder = await tempFolder();
    const path = `${folder.path}/jobs.kv`;
    await runFamilies([kvStore(path), kvStore(path)], 40);
    const kv = await openKv(path);
    await audit(kv);
    kv.close();
  });

  for (const { what, numRuns, open } of KVS) {
    it(`end as if nobody had died, on workers that die at random${what}`, async () => {
      let trials = 0;
      const trial = async (...[program, crashes]: ConstructorParameters<typeof Trial>) => {
        trials++;
        const kv = await open();
        const store = (clock: Clock) => kvStore(kv, { clock, wakeIntervalMs: 0 });
        {
          await using trial = new Trial(program, crashes, store, store);
          await trial.run();
        }
        await store({ now: Date.now, held: null, after: () => () => {} }).jobs.rescue(0);
        await audit(kv);
        kv.close();
      };
      const property = fc.asyncProperty(program, crashes, (...drawn) => trial(...drawn));
      await fc.assert(property, { numRuns, seed: 20260203, endOnFailure: true });
      assert(trials >= numRuns);
    });
  }
});
