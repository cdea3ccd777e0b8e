import { assert } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import { turns } from "../harness.ts";
import { openKv } from "../../src/store/kv/open.ts";
import { kvStore } from "../../src/store/kv/store.ts";
import { troubled } from "../kv.ts";
import { audit } from "../kv_audit.ts";
import { program } from "../workflow/programs.ts";
import { crashes, Trial } from "../workflow/trial.ts";

describe("workflows in a Deno KV", () => {
  for (
    const { what, open, numRuns } of [
      { what: "", open: () => openKv(":memory:"), numRuns: 60 },
      {
        what: " that takes 10 checks and is locked now and then",
        open: async () => {
          let commits = 0;
          return troubled(await openKv(":memory:"), {
            maxChecks: 10,
            before: () => {
              if (++commits % 7 === 3) throw new TypeError("database is locked");
            },
          });
        },
        numRuns: 20,
      },
    ]
  ) {
    it(`end as if nobody had died, whatever they are, on workers that die at random${what}`, async () => {
      let trials = 0;
      await fc.assert(
        fc.asyncProperty(program, crashes, async (program, crashes) => {
          trials++;
          const kv = await open();
          const store = (clock: Parameters<ConstructorParameters<typeof Trial>[2] & {}>[0]) =>
            kvStore(kv, { clock, wakeIntervalMs: 0 });
          {
            await using trial = new Trial(program, crashes, store, () => turns(60), store);
            await trial.run();
          }
          await audit(kv);
          kv.close();
        }),
        { numRuns, seed: 20260203, endOnFailure: true },
      );
      assert(trials >= numRuns);
    });
  }
});
