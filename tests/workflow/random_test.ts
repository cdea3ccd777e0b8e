import { describe, it } from "@std/testing/bdd";
import fc from "fast-check";
import { program } from "./programs.ts";
import { crashes, Trial } from "./trial.ts";

describe("random workflows on workers that die at random", () => {
  it("end as if nobody had died, do no remembered step again, and undo what they did", async () => {
    await fc.assert(
      fc.asyncProperty(program, crashes, async (program, crashes) => {
        await using trial = new Trial(program, crashes);
        await trial.run();
      }),
      { numRuns: 250, seed: 20260201, endOnFailure: false },
    );
  });
});
