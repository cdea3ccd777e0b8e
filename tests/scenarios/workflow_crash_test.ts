import { assert, assertEquals } from "@std/assert";
import { describe, it } from "@std/testing/bdd";
import { postgresStore } from "../../src/store/postgres/store.ts";
import { example } from "../examples/run.ts";
import { createDatabase } from "../postgres.ts";

/** The job of the first order of the example. */
const JOB = "job_01jd0gxm6te4fs5b9v3q8n2kz0";

/** What each step of the example prints when it is done. */
const PRINTS: Record<string, string> = {
  reserve: "reserve lamp",
  charge: "charge for lamp",
  mail: "mail of lamp",
  ship: "ship lamp",
};

describe("a process that is killed with SIGKILL in the middle of a workflow", () => {
  for (const until of ["reserve lamp", "charge for lamp", "mail of lamp"]) {
    it(`after "${until}" is followed by one that does no finished step again`, async () => {
      await using database = await createDatabase();
      const env = { DATABASE_URL: database.url };
      const first = example("examples/15_order_saga.ts", { env, stderr: "inherit" }).spawn();
      const reader = first.stdout.pipeThrough(new TextDecoderStream()).getReader();
      for (let printed = ""; !printed.includes(until);) {
        const { value, done } = await reader.read();
        assert(!done, `it ended before it printed ${until}`);
        printed += value;
      }
      first.kill("SIGKILL");
      await first.status;
      await reader.cancel();
      const store = postgresStore(database.url, { maxConnections: 1 });
      const [steps] = await store.runs!.checkpoints([
        { jobId: JOB, after: null, limit: 100, pending: false },
      ]);
      const [job] = await store.jobs.get([JOB]);
      assert(job !== null && job.completedAt === null, "it is not in the middle");
      const second = await example("examples/15_order_saga.ts", { env, stderr: "inherit" })
        .output();
      assertEquals(second.code, 0);
      const printed = new TextDecoder().decode(second.stdout);
      assert(printed.includes("done"), printed);
      for (const { name, state } of steps) {
        const line = PRINTS[name];
        if (state !== "completed" || line === undefined) continue;
        assert(!printed.includes(line), `${name} was finished and is done again:\n${printed}`);
      }
      await store.close();
    });
  }
});
